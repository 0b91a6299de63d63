import type { Table } from './chart-data'

/** Cells of a heatmap: `counts[row * columns + column]`, the lowest bucket first. */
export type Grid = {
  rows: number
  columns: number
  counts: number[]
  most: number
  /** The lower end of each row, and its name where the buckets have names. */
  edges: number[]
  labels: string[]
}

const COLUMNS = 120
const ROWS = 24

/** About `count` steps of 1, 2 or 5 from low to high: the ends of buckets. */
export function niceEdges(low: number, high: number, count: number): number[] {
  if (!(high > low)) return [low, low + (Math.abs(low) || 1)]
  const raw = (high - low) / count
  const power = 10 ** Math.floor(Math.log10(raw))
  const step = [1, 2, 5, 10].map((each) => each * power).find((each) => each >= raw) ?? raw
  const first = Math.floor(low / step)
  const last = Math.ceil(high / step)
  const edges: number[] = []
  for (let at = first; at <= last; at += 1) edges.push(at * step)
  return edges
}

const boundOf = (text: string) =>
  /^\+?inf/i.test(text) ? Number.POSITIVE_INFINITY : Number.parseFloat(text)

/**
 * The cells of a table: of series that are cumulative buckets (with `le`, or named by their bound),
 * or of the values of all series.
 */
export function bucketGrid(table: Table, start: number, end: number, buckets: boolean): Grid {
  const columns = Math.max(1, Math.min(COLUMNS, table.times.length))
  const columnOf = (time: number) =>
    Math.min(columns - 1, Math.max(0, Math.floor(((time - start) / (end - start || 1)) * columns)))
  const bounds = table.lines.map(({ tags, label }) => boundOf(tags?.le ?? label))
  const isBuckets =
    (buckets || table.lines.every(({ tags }) => tags?.le !== undefined)) &&
    bounds.every((bound) => !Number.isNaN(bound))
  if (isBuckets) {
    const order = [...table.lines.keys()].sort((a, b) => (bounds[a] ?? 0) - (bounds[b] ?? 0))
    const counts: number[] = Array(order.length * columns).fill(0)
    table.times.forEach((time, at) => {
      let below = 0
      order.forEach((index, row) => {
        const total = table.lines[index]?.values[at] ?? null
        if (total === null) return
        const cell = row * columns + columnOf(time)
        counts[cell] = (counts[cell] ?? 0) + Math.max(0, total - below)
        below = Math.max(below, total)
      })
    })
    return {
      rows: order.length,
      columns,
      counts,
      most: Math.max(1e-12, ...counts),
      edges: order.map((index) => bounds[index] ?? 0),
      labels: order.map((index) => table.lines[index]?.tags?.le ?? table.lines[index]?.label ?? ''),
    }
  }
  const values = table.lines.flatMap((line) => line.values.filter((value) => value !== null))
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
  for (const value of values) {
    low = Math.min(low, value)
    high = Math.max(high, value)
  }
  const edges = Number.isFinite(low) ? niceEdges(low, high, ROWS) : [0, 1]
  const rows = edges.length - 1
  const counts: number[] = Array(rows * columns).fill(0)
  const width = (edges[1] ?? 1) - (edges[0] ?? 0)
  for (const line of table.lines) {
    line.values.forEach((value, at) => {
      if (value === null) return
      const row = Math.min(rows - 1, Math.max(0, Math.floor((value - (edges[0] ?? 0)) / width)))
      const cell = row * columns + columnOf(table.times[at] ?? start)
      counts[cell] = (counts[cell] ?? 0) + 1
    })
  }
  return {
    rows,
    columns,
    counts,
    most: Math.max(1, ...counts),
    edges: edges.slice(0, -1),
    labels: [],
  }
}

/** How many values of all lines fall between the edges. */
export function histogramOf(
  values: number[],
  count: number,
): { edges: number[]; counts: number[] } {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
  for (const value of values) {
    low = Math.min(low, value)
    high = Math.max(high, value)
  }
  if (!values.length) return { edges: [0, 1], counts: [0] }
  const edges = niceEdges(low, high, count)
  const counts: number[] = Array(edges.length - 1).fill(0)
  const width = (edges[1] ?? 1) - (edges[0] ?? 0)
  for (const value of values) {
    const at = Math.min(
      counts.length - 1,
      Math.max(0, Math.floor((value - (edges[0] ?? 0)) / width)),
    )
    counts[at] = (counts[at] ?? 0) + 1
  }
  return { edges, counts }
}
