import type { Panel } from '@/api/generated/types.gen'

type Position = Panel['position']

const overlap = (one: Position, other: Position) =>
  one.x < other.x + other.w &&
  other.x < one.x + one.w &&
  one.y < other.y + other.h &&
  other.y < one.y + one.h

/**
 * The panels with all vertical gaps closed and no overlaps, as the grid shows them. Not by the
 * grid's library, which would be part of each dashboard's first load. A panel that does not move
 * stays the same object, and so does the list when none moves.
 */
export function compacted(panels: Panel[]): Panel[] {
  const placed: Position[] = []
  const rows = new Map<string, number>()
  const inOrder = [...panels].sort(
    ({ position: one }, { position: other }) => one.y - other.y || one.x - other.x,
  )
  for (const { id, position } of inOrder) {
    const bottom = Math.max(0, ...placed.map(({ y, h }) => y + h))
    const at = { ...position, y: Math.min(position.y, bottom) }
    const hit = () => placed.find((other) => overlap(other, at))
    while (at.y > 0 && !hit()) at.y -= 1
    for (let other = hit(); other; other = hit()) at.y = other.y + other.h
    placed.push(at)
    rows.set(id, at.y)
  }
  const moved = panels.map((panel) => {
    const y = rows.get(panel.id) ?? panel.position.y
    return y === panel.position.y ? panel : { ...panel, position: { ...panel.position, y } }
  })
  return moved.every((panel, index) => panel === panels[index]) ? panels : moved
}
