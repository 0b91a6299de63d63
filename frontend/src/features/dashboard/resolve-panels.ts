import type { Panel } from '@/api/generated/types.gen'
import { fillTaggedQuery, fillText, fillUrl, type Scope, single } from '@/lib/variables'

const COLUMNS = 12

type Position = Panel['position']

const collide = (a: Position, b: Position) =>
  a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h

/** A row with the panels below it; those above the first row have no head. */
type Section = { head: Panel | undefined; panels: Panel[] }

function sectionsOf(panels: Panel[]): Section[] {
  const inOrder = [...panels].sort(
    (a, b) => a.position.y - b.position.y || a.position.x - b.position.x,
  )
  const sections: Section[] = [{ head: undefined, panels: [] }]
  for (const panel of inOrder) {
    if (panel.type === 'row') sections.push({ head: panel, panels: [] })
    else sections.at(-1)?.panels.push(panel)
  }
  return sections
}

export type Tab = { id: string; title: string }

export type ResolvedBoard = {
  panels: Panel[]
  tabs: Tab[]
  /** How many panels each row has, by the row's id. */
  counts: Map<string, number>
}

type View = {
  /** Whether a row is folded. */
  folded?: (row: Panel) => boolean
  /** The id of the tab that is open; the first where there is none of this id. */
  tab?: string | undefined
}

/**
 * A board's panels as they are displayed. Rows and panels stand once for each value of the variable
 * that repeats them. Panels of folded rows and of other tabs are left out, and what is below them
 * moves up. Variables are filled in.
 */
export function resolveBoard(panels: Panel[], scope: Scope, view: View = {}): ResolvedBoard {
  const placed: Panel[] = []
  const tabs: Tab[] = []
  const counts = new Map<string, number>()
  const heads = sectionsOf(panels).flatMap((section) => copiesOf(section, scope))
  const allTabs = heads.flatMap(({ head }) => (head?.options.section === 'tab' ? head.id : []))
  const open = view.tab && allTabs.includes(view.tab) ? view.tab : allTabs[0]
  let inTab: string | undefined
  let bottom = 0
  for (const { head, panels: inside, scope: own } of heads) {
    const filled = head && fillPanel(head, own)
    if (filled && head.options.section === 'tab') {
      inTab = filled.id
      tabs.push({ id: filled.id, title: filled.title || 'Tab' })
    }
    if (inTab !== undefined && inTab !== open) continue
    // Above the first row, gaps stay as they were laid out.
    let top = head ? bottom : 0
    if (filled && head.options.section !== 'tab') {
      placed.push({ ...filled, position: { x: 0, y: bottom, w: COLUMNS, h: 1 } })
      counts.set(filled.id, inside.length)
      top = bottom + 1
      bottom = top
      if (view.folded?.(filled)) continue
    }
    const start = head ? Math.min(...inside.map(({ position }) => position.y)) : 0
    const copies = placeRepeated(inside, own, head?.id)
    for (const panel of copies) {
      const position = { ...panel.position, y: panel.position.y - start + top }
      placed.push({ ...panel, position })
      bottom = Math.max(bottom, position.y + position.h)
    }
  }
  return { panels: placed, tabs, counts }
}

/** A section once, or once for each value of the variable that repeats it. */
function copiesOf(section: Section, scope: Scope): (Section & { scope: Scope })[] {
  const name = section.head?.options.repeat ?? ''
  const values = scope.get(name)?.values ?? []
  const { head } = section
  if (!head || !values.length) return [{ ...section, scope }]
  return values.map((value) => ({
    head: { ...head, id: `${head.id}@${value}` },
    panels: section.panels,
    scope: new Map(scope).set(name, oneValue(scope, name, value)),
  }))
}

function oneValue(scope: Scope, name: string, value: string) {
  const texts = scope.get(name)?.texts
  return texts ? { ...single(value), texts } : single(value)
}

/** Panels with the copies of those that are repeated: side by side, or one below the other. */
function placeRepeated(inOrder: Panel[], scope: Scope, head: string | undefined): Panel[] {
  const placed: Panel[] = []
  /** Rows added by repeated panels, and below which row. */
  const added: { below: number; rows: number }[] = []
  // The panels of a repeated row have its value in their ids.
  const ofRow = head?.includes('@') ? `@${head.slice(head.indexOf('@') + 1)}` : ''
  const add = (panel: Panel, position: Position, id: string, own: Scope) => {
    const free = { ...position }
    while (placed.some((other) => collide(free, other.position))) free.y += 1
    placed.push(fillPanel({ ...panel, id, position: free }, own))
  }
  for (const panel of inOrder) {
    const { x, y, w, h } = panel.position
    const { repeat, repeatDirection, repeatMax } = panel.options
    const pushed = added.reduce((sum, { below, rows }) => (y >= below ? sum + rows : sum), 0)
    const values = scope.get(repeat ?? '')?.values ?? []
    if (!values.length) {
      add(panel, { x, y: y + pushed, w, h }, `${panel.id}${ofRow}`, scope)
      continue
    }
    const fits = Math.max(1, Math.floor((COLUMNS - x) / w))
    const perRow = repeatDirection === 'down' ? 1 : Math.min(fits, repeatMax ?? fits)
    added.push({ below: y + h, rows: (Math.ceil(values.length / perRow) - 1) * h })
    values.forEach((value, index) => {
      const position = {
        x: x + (index % perRow) * w,
        y: y + pushed + Math.floor(index / perRow) * h,
        w,
        h,
      }
      const own = new Map(scope).set(repeat ?? '', oneValue(scope, repeat ?? '', value))
      add(panel, position, `${panel.id}${ofRow}@${value}`, own)
    })
  }
  return placed
}

/** The id of the panel that a copy repeats. */
export const originalId = (id: string) => id.split('@')[0] ?? id

/** A panel with its variables filled in. */
export function fillPanel(panel: Panel, scope: Scope): Panel {
  const { description, links, content, axisLabel } = panel.options
  return {
    ...panel,
    title: fillText(panel.title, scope),
    queries: panel.queries.map((query) => ({
      ...fillTaggedQuery(query, scope),
      alias: query.alias && fillText(query.alias, scope),
    })),
    options: {
      ...panel.options,
      description: description && fillText(description, scope),
      content: content && fillText(content, scope),
      axisLabel: axisLabel && fillText(axisLabel, scope),
      links: links.map(({ title, url }) => ({
        title: fillText(title, scope),
        url: fillUrl(url, scope),
      })),
    },
  }
}
