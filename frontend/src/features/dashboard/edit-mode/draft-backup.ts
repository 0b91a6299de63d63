import type { Dashboard, Panel } from '@/api/generated/types.gen'
import { difference, rebasePanels } from './changes'
import type { Draft } from './draft'

/** What is not saved stays in this browser, for whose it is, until the dashboard is opened again. */
export type Backup = { base: Dashboard; panels: Panel[]; at: number }

const PREFIX = 'pulseboard-draft'
/** Each loading of the app has its own backups: two tabs do not write over each other. */
const LOADING = crypto.randomUUID()

/** The backups of one person's draft of a dashboard. */
export function createBackups(owner: string, board: string, loading: string = LOADING) {
  const prefix = `${PREFIX}:${owner}:${board}:`
  const own = prefix + loading
  let release: (() => void) | undefined

  /** The tab that holds this lock is open, and its draft is its own affair. */
  function hold() {
    if (release) return
    const closed = new Promise<void>((resolve) => {
      release = resolve
    })
    void navigator.locks?.request(own, () => closed).catch(() => undefined)
  }

  const others = () =>
    Object.keys(localStorage).filter((key) => key.startsWith(prefix) && key !== own)

  function read(key: string): Backup[] {
    try {
      const found = JSON.parse(localStorage.getItem(key) ?? 'null') as Backup | null
      return found?.base.id === board && Array.isArray(found.panels) ? [found] : []
    } catch {
      return []
    }
  }

  return {
    /** Keeps an unsaved draft; false when the browser has no room for it. */
    keep({ base, panels }: Draft): boolean {
      hold()
      try {
        const backup: Backup = { base, panels, at: Date.now() }
        localStorage.setItem(own, JSON.stringify(backup))
        return true
      } catch {
        // What was kept before is older than what is on the screen.
        return false
      }
    },
    drop() {
      localStorage.removeItem(own)
      release?.()
      release = undefined
    },
    /** Whether there may be a draft to take up. */
    found: () => others().length > 0,
    /** Hands out what tabs that are closed have left, the oldest first. Others get it no more. */
    async take(use: (backups: Backup[]) => void): Promise<void> {
      const hand = async () => {
        const locks = await navigator.locks?.query()
        const open = new Set(
          [...(locks?.held ?? []), ...(locks?.pending ?? [])].map(({ name }) => name),
        )
        const left = others().filter((key) => !open.has(key))
        use(left.flatMap(read).sort((one, other) => one.at - other.at))
        for (const key of left) localStorage.removeItem(key)
      }
      await (navigator.locks ? navigator.locks.request(prefix, hand) : hand())
    },
  }
}

export type Backups = ReturnType<typeof createBackups>

/**
 * The draft with what was not saved when its page was closed, each page's as one undo step. Where
 * someone has changed the dashboard since, that is a conflict, as it would have been then.
 */
export function takenUp(draft: Draft, backups: Backup[]): Draft {
  const unsaved = backups.filter(({ base, panels }) => {
    const merged = rebasePanels(base.panels, panels, draft.base.panels)
    return difference(draft.base.panels, merged) !== 'none'
  })
  const [first, ...later] = unsaved
  if (!first) return draft
  const conflict = unsaved.some(({ base }) => base.version !== draft.base.version)
  const base = conflict ? first.base : draft.base
  const past = [base.panels]
  let panels = first.panels
  for (const next of later) {
    past.push(panels)
    panels = rebasePanels(next.base.panels, next.panels, panels)
  }
  return { base, panels, past, future: [], state: conflict ? 'conflict' : 'changed' }
}
