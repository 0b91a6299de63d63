import type { Panel } from '@/api/generated/types.gen'
import { fillTaggedQuery, fillText, fillUrl, type Scope, single } from '@/lib/variables'

const COLUMNS = 12

type Position = Panel['position']

const collide = (a: Position, b: Position) =>
  a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h

/**
 * A board's panels as they are displayed: one for each value of a repeated variable, side by
 * side and then in further rows that push down what is below. Variables are filled in.
 */
export function resolvePanels(panels: Panel[], scope: Scope): Panel[] {
  const inOrder = [...panels].sort(
    (a, b) => a.position.y - b.position.y || a.position.x - b.position.x,
  )
  const placed: Panel[] = []
  /** Rows added by repeated panels, and below which row. */
  const added: { below: number; rows: number }[] = []
  for (const panel of inOrder) {
    const { x, y, w, h } = panel.position
    const pushed = added.reduce((sum, { below, rows }) => (y >= below ? sum + rows : sum), 0)
    const repeated = scope.get(panel.options.repeat ?? '')
    const values = repeated?.values ?? []
    if (!values.length) {
      const position = { x, y: y + pushed, w, h }
      while (placed.some((other) => collide(position, other.position))) position.y += 1
      placed.push(fillPanel({ ...panel, position: position }, scope))
      continue
    }
    const perRow = Math.max(1, Math.floor((COLUMNS - x) / w))
    added.push({ below: y + h, rows: (Math.ceil(values.length / perRow) - 1) * h })
    values.forEach((value, index) => {
      const position = {
        x: x + (index % perRow) * w,
        y: y + pushed + Math.floor(index / perRow) * h,
        w,
        h,
      }
      while (placed.some((other) => collide(position, other.position))) position.y += 1
      const own = new Map(scope).set(panel.options.repeat ?? '', single(value))
      placed.push(fillPanel({ ...panel, id: `${panel.id}@${value}`, position: position }, own))
    })
  }
  return placed
}

/** The id of the panel that a copy repeats. */
export const originalId = (id: string) => id.split('@')[0] ?? id

/** A panel with its variables filled in. */
export function fillPanel(panel: Panel, scope: Scope): Panel {
  const { description, links } = panel.options
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
      links: links.map(({ title, url }) => ({
        title: fillText(title, scope),
        url: fillUrl(url, scope),
      })),
    },
  }
}
