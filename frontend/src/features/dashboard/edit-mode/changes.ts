import type { Dashboard, Panel, UpdateDashboard } from '@/api/generated/types.gen'
import { compacted } from './compacted'
import type { Draft } from './draft'

const contentKey = ({ title, type, queries, options }: Panel) =>
  JSON.stringify([title, type, queries, options])
const positionKey = ({ position: { x, y, w, h } }: Panel) => `${x} ${y} ${w} ${h}`

/** What differs between two lists of panels: nothing, only positions, or more. */
export function difference(before: Panel[], after: Panel[]): 'none' | 'layout' | 'panels' {
  if (before === after) return 'none'
  const known = new Map(before.map((panel) => [panel.id, panel]))
  if (before.length !== after.length || after.some((panel) => !known.has(panel.id))) return 'panels'
  let found: 'none' | 'layout' = 'none'
  for (const panel of after) {
    const old = known.get(panel.id)
    if (!old || old === panel) continue
    if (contentKey(old) !== contentKey(panel)) return 'panels'
    if (positionKey(old) !== positionKey(panel)) found = 'layout'
  }
  return found
}

/**
 * Panels from the server, with those that are as here being the same objects: what an autosave has
 * not changed is not rendered again, and a hundred undo steps share what they have in common.
 */
export function keepSame(here: Panel[], fromServer: Panel[]): Panel[] {
  const known = new Map(here.map((panel) => [panel.id, panel]))
  return fromServer.map((panel) => {
    const old = known.get(panel.id)
    const same =
      old && contentKey(old) === contentKey(panel) && positionKey(old) === positionKey(panel)
    return same ? old : panel
  })
}

/** The request that makes the server's panels these: positions only when nothing else differs. */
export function updateOf(base: Dashboard, panels: Panel[]): UpdateDashboard | undefined {
  const what = difference(base.panels, panels)
  if (what === 'none') return undefined
  if (what === 'layout') {
    const layout = panels.map(({ id, position: { x, y, w, h } }) => ({ i: id, x, y, w, h }))
    return { version: base.version, layout }
  }
  return {
    version: base.version,
    panels: panels.map(({ id, title, type, queries, options, position }) => ({
      id,
      title,
      type,
      queries,
      options,
      position,
    })),
  }
}

/**
 * Applies our changes (from `base` to `mine`) to a newer version: panels that we did not change
 * stay as they are there.
 */
export function rebasePanels(base: Panel[], mine: Panel[], theirs: Panel[]): Panel[] {
  const before = new Map(base.map((panel) => [panel.id, panel]))
  const ours = new Map(mine.map((panel) => [panel.id, panel]))
  const merged = theirs.flatMap((panel) => {
    const old = before.get(panel.id)
    const own = ours.get(panel.id)
    if (!old) return [panel]
    if (!own) return []
    const changed = contentKey(old) !== contentKey(own) ? own : panel
    return [
      positionKey(old) !== positionKey(own) ? { ...changed, position: own.position } : changed,
    ]
  })
  const there = new Set(theirs.map((panel) => panel.id))
  const added = mine.filter(
    (panel) =>
      !there.has(panel.id) &&
      (!before.has(panel.id) || contentKey(panel) !== contentKey(before.get(panel.id) ?? panel)),
  )
  return compacted([...merged, ...added])
}

/**
 * The draft on top of a newer version, its undo history too: a step back takes our change back,
 * never one of theirs.
 */
export function rebaseDraft(draft: Draft, board: Dashboard): Draft {
  const base = { ...board, panels: keepSame(draft.panels, board.panels) }
  let last = base.panels
  const rebased = (panels: Panel[]) => {
    last = keepSame(last, rebasePanels(draft.base.panels, panels, base.panels))
    return last
  }
  return {
    base,
    panels: rebased(draft.panels),
    past: draft.past.map(rebased),
    future: draft.future.map(rebased),
    state: 'changed',
  }
}
