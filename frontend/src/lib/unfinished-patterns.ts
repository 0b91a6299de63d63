import { useSyncExternalStore } from 'react'

/**
 * The patterns whose search took too many steps. They match nothing; what used them says so.
 */
let unfinished: ReadonlySet<string> = new Set()
const listeners = new Set<() => void>()

/** Note a pattern that was given up; it may happen while something is drawn. */
export function giveUp(source: string): void {
  if (unfinished.has(source)) return
  unfinished = new Set([...unfinished, source])
  queueMicrotask(() => {
    for (const listener of listeners) listener()
  })
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

/** All that were given up since the page was loaded. */
export const useUnfinishedPatterns = (): ReadonlySet<string> =>
  useSyncExternalStore(subscribe, () => unfinished)
