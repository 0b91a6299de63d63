/** Something that is not saved, or may not be: a draft that outlives its page, or an open form. */
export type Work = {
  /** What to ask before it is lost; nothing when there is nothing to lose. */
  question: () => string | undefined
  save?: () => Promise<unknown>
  discard?: () => void
}

const held = new Set<Work>()
let letGo = false

/** From now on signing out asks about it, until the function that is returned is called. */
export function holdWork(work: Work): () => void {
  held.add(work)
  return () => void held.delete(work)
}

/** Saves what can be saved, and asks about what can't. Answers whether somebody may sign out. */
export async function maySignOut(): Promise<boolean> {
  await Promise.all([...held].map((work) => work.save?.()))
  const questions = [...held].flatMap((work) => work.question() ?? [])
  return questions.length === 0 || window.confirm(questions.join('\n'))
}

/** Throws away what nobody can come back to: of who signs out, nothing stays in this browser. */
export function discardWork() {
  for (const work of held) {
    if (!work.discard) continue
    work.discard()
    held.delete(work)
  }
}

/** Loads the app anew for somebody else, without a question: the page is not theirs. */
export function startAnew() {
  letGo = true
  window.location.reload()
}

export const isLetGo = () => letGo
