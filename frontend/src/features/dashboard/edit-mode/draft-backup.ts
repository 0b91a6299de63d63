import type { Dashboard, Panel } from '@/api/generated/types.gen'
import { difference, rebasePanels } from './changes'
import type { Draft, DraftStore } from './draft'

/** What is not saved when a page is closed stays in this browser until the dashboard is opened. */
type Backup = { base: Dashboard; panels: Panel[] }

const keyOf = (id: string) => `pulseboard-draft:${id}`

/** Keeps an unsaved draft; false when the browser has no room for it. */
export function keepBackup({ base, panels }: Draft): boolean {
  try {
    localStorage.setItem(keyOf(base.id), JSON.stringify({ base, panels } satisfies Backup))
    return true
  } catch {
    return false
  }
}

export const dropBackup = (id: string) => localStorage.removeItem(keyOf(id))

function readBackup(id: string): Backup | undefined {
  try {
    const found = JSON.parse(localStorage.getItem(keyOf(id)) ?? 'null') as Backup | null
    return found?.base.id === id && Array.isArray(found.panels) ? found : undefined
  } catch {
    return undefined
  }
}

/**
 * Takes a draft up again that was not saved when the page was closed. Where someone has changed
 * the dashboard since, that is a conflict, as it would have been then.
 */
export function restoreBackup(store: DraftStore, board: Dashboard): boolean {
  const found = readBackup(board.id)
  dropBackup(board.id)
  if (!found || found.base.version > board.version) return false
  const merged = rebasePanels(found.base.panels, found.panels, board.panels)
  if (difference(board.panels, merged) === 'none') return false
  const same = found.base.version === board.version
  store.setState({
    base: same ? board : found.base,
    panels: found.panels,
    past: [same ? board.panels : found.base.panels],
    future: [],
    state: same ? 'changed' : 'conflict',
  })
  return true
}
