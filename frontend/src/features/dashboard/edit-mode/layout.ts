import {
  cloneLayout,
  type Layout,
  type LayoutItem,
  moveElement,
  verticalCompactor,
} from 'react-grid-layout/core'
import type { Panel } from '@/api/generated/types.gen'
import { compacted } from './compacted'

export const COLUMNS = 12
const MAX_HEIGHT = 50

/** A move or resize by one grid cell, as an arrow key makes it. */
export type Step = { x?: -1 | 1; y?: -1 | 1 }

const itemOf = ({ id, type, position: { x, y, w, h } }: Panel): LayoutItem => ({
  i: id,
  x,
  y,
  w,
  h,
  // The head of a row is as wide as the board.
  ...(type === 'row' && { minW: COLUMNS, maxH: 1, isResizable: false }),
})

/** The layout of the panels with all vertical gaps closed and no overlaps. */
export const layoutOf = (panels: Panel[]): Layout =>
  verticalCompactor.compact(panels.map(itemOf), COLUMNS)

/** The panels at the positions of a layout. A panel that does not move stays the same object. */
export function applyLayout(panels: Panel[], layout: Layout): Panel[] {
  const itemsById = new Map(layout.map((item) => [item.i, item]))
  const placed = panels.map((panel) => {
    const item = itemsById.get(panel.id)
    if (!item) return panel
    const { x, y, w, h } = item
    const now = panel.position
    if (now.x === x && now.y === y && now.w === w && now.h === h) return panel
    return { ...panel, position: { x, y, w, h } }
  })
  return placed.every((panel, index) => panel === panels[index]) ? panels : placed
}

/**
 * Moves a panel one step. Up and down move as far as needed to pass a neighbour, since a panel
 * that moves less would fall back to its old position.
 */
export function move(panels: Panel[], id: string, step: Step): Panel[] {
  const start = layoutOf(panels)
  const from = start.find((item) => item.i === id)
  if (!from) return panels
  const most = step.y ? MAX_HEIGHT : 1
  for (let distance = 1; distance <= most; distance += 1) {
    const x = Math.min(COLUMNS - from.w, Math.max(0, from.x + (step.x ?? 0)))
    const y = Math.max(0, from.y + (step.y ?? 0) * distance)
    const layout = cloneLayout(start)
    const item = layout.find((other) => other.i === id)
    if (!item) return panels
    const moved = moveElement(layout, item, x, y, true, false, 'vertical', COLUMNS)
    const settled = verticalCompactor.compact(moved, COLUMNS)
    const to = settled.find((other) => other.i === id)
    if (to && (to.x !== from.x || to.y !== from.y)) return applyLayout(panels, settled)
  }
  return panels
}

/** Makes a panel one cell wider, narrower, taller or shorter; the others make room. */
export function resize(panels: Panel[], id: string, step: Step): Panel[] {
  const grown = panels.map((panel) => {
    if (panel.id !== id) return panel
    const { x, y, w, h } = panel.position
    return {
      ...panel,
      position: {
        x,
        y,
        w: Math.min(COLUMNS - x, Math.max(1, w + (step.x ?? 0))),
        h: Math.min(MAX_HEIGHT, Math.max(2, h + (step.y ?? 0))),
      },
    }
  })
  const layout = grown.map(itemOf)
  const item = layout.find((other) => other.i === id)
  if (!item) return panels
  const moved = moveElement(layout, item, item.x, item.y, true, false, 'vertical', COLUMNS)
  return applyLayout(grown, verticalCompactor.compact(moved, COLUMNS))
}

/**
 * The panels with a removed one where it was: what moved up by the removal (`before` to `after`)
 * and was not moved since makes room again.
 */
export function putBack(panels: Panel[], before: Panel[], after: Panel[], removed: Panel): Panel[] {
  const old = new Map(before.map((panel) => [panel.id, panel.position]))
  const closed = new Map(after.map((panel) => [panel.id, panel.position]))
  const same = (a: Panel['position'], b: Panel['position'] | undefined) =>
    b !== undefined && a.x === b.x && a.y === b.y && a.w === b.w && a.h === b.h
  const opened = panels.map((panel) => {
    const position = old.get(panel.id)
    const untouched = same(panel.position, closed.get(panel.id))
    return position && untouched ? { ...panel, position } : panel
  })
  return compacted([...opened.filter(({ id }) => id !== removed.id), removed])
}

/** The first free row below everything. */
export const bottomOf = (panels: Panel[]) =>
  panels.reduce((lowest, { position }) => Math.max(lowest, position.y + position.h), 0)

/** A position for a new panel: beside the last one where there is room, else below all. */
export function freePosition(panels: Panel[], w: number, h: number): Panel['position'] {
  const bottom = bottomOf(panels)
  const last = panels
    .filter(({ position }) => position.y + position.h === bottom)
    .sort((a, b) => b.position.x - a.position.x)[0]?.position
  if (last && last.x + last.w + w <= COLUMNS) return { x: last.x + last.w, y: last.y, w, h }
  return { x: 0, y: bottom, w, h }
}
