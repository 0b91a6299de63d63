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

/** Whose change counts where both have changed the same field. */
type Preferred = 'mine' | 'theirs'

const same = (one: unknown, other: unknown) => JSON.stringify(one) === JSON.stringify(other)

/** A value that was `old`, of which we made `mine` and they `theirs`. */
function merged<T>(old: T, mine: T, theirs: T, preferred: Preferred): T {
  if (mine === theirs || same(old, mine)) return theirs
  if (same(old, theirs)) return mine
  return preferred === 'mine' ? mine : theirs
}

/** An object of which each field is merged by itself. */
function mergedFields<T extends object>(old: T, mine: T, theirs: T, preferred: Preferred): T {
  const result = { ...theirs }
  for (const key of new Set([...Object.keys(mine), ...Object.keys(theirs)]) as Set<keyof T>)
    result[key] = merged(old[key], mine[key], theirs[key], preferred)
  return result
}

/** A panel with what we have changed in it and what they have changed in it. */
export function mergedPanel(
  old: Panel,
  mine: Panel,
  theirs: Panel,
  preferred: Preferred = 'mine',
): Panel {
  const { title, type, position } = mergedFields(old, mine, theirs, preferred)
  const options = mergedFields(old.options, mine.options, theirs.options, preferred)
  const counts = new Set([old, mine, theirs].map((panel) => panel.queries.length))
  const queries =
    counts.size === 1
      ? theirs.queries.map((query, index) =>
          merged(old.queries[index] ?? query, mine.queries[index] ?? query, query, preferred),
        )
      : merged(old.queries, mine.queries, theirs.queries, preferred)
  return { ...theirs, title, type, queries, options, position }
}

/**
 * Applies our changes (from `base` to `mine`) to a newer version: panels, and fields of panels,
 * that we did not change stay as they are there.
 */
export function rebasePanels(
  base: Panel[],
  mine: Panel[],
  theirs: Panel[],
  preferred: Preferred = 'mine',
): Panel[] {
  const before = new Map(base.map((panel) => [panel.id, panel]))
  const ours = new Map(mine.map((panel) => [panel.id, panel]))
  const kept = theirs.flatMap((panel) => {
    const old = before.get(panel.id)
    const own = ours.get(panel.id)
    if (!old) return [own && preferred === 'mine' ? own : panel]
    if (own) return [mergedPanel(old, own, panel, preferred)]
    return preferred === 'theirs' && difference([old], [panel]) !== 'none' ? [panel] : []
  })
  const there = new Set(theirs.map((panel) => panel.id))
  const added = mine.filter((panel) => {
    const old = before.get(panel.id)
    if (there.has(panel.id)) return false
    return !old || (preferred === 'mine' && contentKey(panel) !== contentKey(old))
  })
  return compacted([...kept, ...added])
}

/** Steps of an undo history, from the one next to `now` on, without those that change nothing. */
function changing(now: Panel[], steps: Panel[][]): Panel[][] {
  let next = now
  return steps.filter((step) => {
    if (difference(step, next) === 'none') return false
    next = step
    return true
  })
}

/**
 * The draft on top of a newer version, its undo history too: a step back takes our change back,
 * never one of theirs.
 */
export function rebaseDraft(draft: Draft, board: Dashboard): Draft {
  const base = { ...board, panels: keepSame(draft.panels, board.panels) }
  let last = base.panels
  const rebased = (preferred: Preferred) => (panels: Panel[]) => {
    last = keepSame(last, rebasePanels(draft.base.panels, panels, base.panels, preferred))
    return last
  }
  const panels = rebased('mine')(draft.panels)
  return {
    base,
    panels,
    past: changing(panels, draft.past.map(rebased('theirs')).reverse()).reverse(),
    future: changing(panels, draft.future.map(rebased('theirs'))),
    state: 'changed',
  }
}
