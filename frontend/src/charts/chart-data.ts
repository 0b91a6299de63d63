import type { QueryData } from '@/api/generated/types.gen'

export type Line = {
  key: string
  label: string
  values: (number | null)[]
  /** The metric and its tags; the letter of the query. */
  name?: string
  tags?: Record<string, string>
  ref?: string
  /** Where its own times are, if others share the axis: elsewhere a null is no gap. */
  own?: number[]
  /** Milliseconds between two of its points, where its result says so. */
  step?: number
}

/** The labels of series: an alias, else the tags that differ, else the metric's name. */
export function labelSeries(
  series: { name: string; tags: Record<string, string> }[],
  alias?: string | null,
): string[] {
  if (alias) {
    return series.map((line) =>
      alias.replace(/\{\{\s*([^{}]*?)\s*\}\}/g, (_, key: string) =>
        key === '__name__' ? line.name : (line.tags[key] ?? ''),
      ),
    )
  }
  const keys = new Set(series.flatMap((line) => Object.keys(line.tags)))
  const differing = [...keys].filter(
    (key) => new Set(series.map((line) => line.tags[key] ?? '')).size > 1,
  )
  return series.map((line) => {
    const present = differing.filter((key) => line.tags[key])
    // One label that differs says enough; of several, each value has its key.
    if (present.length === 1) return line.tags[present[0] ?? ''] ?? line.name
    if (present.length) return present.map((key) => `${key}=${line.tags[key]}`).join(' · ')
    return line.name || Object.values(line.tags).join(' · ') || 'value'
  })
}

export type Table = { times: number[]; lines: Line[] }

/** Joins the results of a panel's queries on one time axis. Times are milliseconds. */
export function joinResults(
  results: {
    data: QueryData
    alias?: string | null
    prefix?: string
    ref?: string
    step?: number | undefined
  }[],
): Table {
  const times = [...new Set(results.flatMap((result) => result.data.timestamps))].sort(
    (a, b) => a - b,
  )
  const at = new Map(times.map((time, index) => [time, index]))
  const named = results.map(({ data, alias }) => labelSeries(data.series, alias))
  // Labels that stand in the results of two queries are told apart by the query.
  const inResults = new Map<string, number>()
  for (const labels of named) {
    for (const label of new Set(labels)) inResults.set(label, (inResults.get(label) ?? 0) + 1)
  }
  const lines = results.flatMap(({ data, alias, prefix, ref, step }, number) => {
    const labels = named[number] ?? []
    return data.series.map((series, index) => {
      const values: (number | null)[] =
        data.timestamps.length === times.length ? series.values : Array(times.length).fill(null)
      if (values !== series.values) {
        data.timestamps.forEach((time, position) => {
          values[at.get(time) ?? 0] = series.values[position] ?? null
        })
      }
      const own = labels[index] ?? series.name
      const shared = (inResults.get(own) ?? 0) > 1 && !alias && own !== series.name
      const label = shared ? `${prefix ?? series.name} ${own}` : own
      const ownTimes =
        data.timestamps.length === times.length
          ? {}
          : { own: data.timestamps.map((time) => at.get(time) ?? 0) }
      return {
        ...ownTimes,
        key: `${number}:${series.name}:${JSON.stringify(series.tags)}`,
        label,
        values,
        name: series.name,
        tags: series.tags,
        ...(ref ? { ref } : {}),
        ...(step ? { step } : {}),
      }
    })
  })
  return { times, lines }
}

/** Milliseconds between a point of a line and the next; 0 when nothing tells. */
function stepFrom({ own, step }: Pick<Line, 'own' | 'step'>, times: number[], at: number): number {
  if (step) return step
  const place = own ? own.indexOf(at) : at
  const [before, after] = own ? [own[place - 1], own[place + 1]] : [at - 1, at + 1]
  const time = times[at] ?? 0
  return time - (times[before ?? -1] ?? time) || (times[after ?? -1] ?? time) - time
}

/**
 * The values of a line at each time of an axis that it shares with lines of another step. Between
 * two of its own points they are on the straight line (`drawn`), or those of the point before
 * (`held`). A gap stays one, but for the step after its last point: `held` and `stacked` repeat that,
 * else the total of a stack would fall where the other lines have newer points.
 */
export function aligned(
  { values, own, step }: Pick<Line, 'values' | 'own' | 'step'>,
  times: number[],
  how: 'drawn' | 'held' | 'stacked',
) {
  if (!own) return values
  const all: (number | null)[] = Array(values.length).fill(null)
  own.forEach((at, position) => {
    const value = values[at] ?? null
    all[at] = value
    if (value === null) return
    const start = times[at] ?? 0
    const next = own[position + 1]
    const end =
      next === undefined ? start + stepFrom({ own, step }, times, at) : (times[next] ?? start)
    const after = next === undefined ? null : (values[next] ?? null)
    if (after === null && how === 'drawn') return
    const flat = after === null || how === 'held'
    for (let later = at + 1; (times[later] ?? end) < end; later += 1) {
      const share = ((times[later] ?? start) - start) / (end - start)
      all[later] = flat ? value : value * (1 - share) + after * share
    }
  })
  return all
}

export type Calculation =
  | 'last'
  | 'first'
  | 'avg'
  | 'min'
  | 'max'
  | 'sum'
  | 'count'
  | 'range'
  | 'difference'

/** The full name of a line: `metric{key="value"}`. */
export function fullName({ name, tags, label }: Pick<Line, 'name' | 'tags' | 'label'>): string {
  if (!tags) return label
  const inside = Object.entries(tags).map(([key, value]) => `${key}="${value}"`)
  return inside.length || name
    ? `${name ?? ''}${inside.length ? `{${inside.join(', ')}}` : ''}`
    : label
}

/** One number for a line; undefined without any sample. */
export function calculate(values: (number | null)[], how: Calculation): number | undefined {
  const present = values.filter((value): value is number => value !== null)
  if (!present.length) return undefined
  switch (how) {
    case 'last':
      return present[present.length - 1]
    case 'min':
      return present.reduce((a, b) => Math.min(a, b))
    case 'max':
      return present.reduce((a, b) => Math.max(a, b))
    case 'sum':
      return present.reduce((a, b) => a + b, 0)
    case 'avg':
      return present.reduce((a, b) => a + b, 0) / present.length
    case 'first':
      return present[0]
    case 'count':
      return present.length
    case 'range':
      return present.reduce((a, b) => Math.max(a, b)) - present.reduce((a, b) => Math.min(a, b))
    case 'difference':
      return (present.at(-1) ?? 0) - (present[0] ?? 0)
  }
}

/**
 * Lines of a stack, each up to its right end. The newest points of lines come at different times: by
 * their steps, and since one sender is later than another. A line that has none yet would take its
 * share out of the total, which is a false dip: its last value stands for up to two of its own steps.
 * A line that has been away for longer ends where it ended.
 */
export function heldToEnd(
  lines: Pick<Line, 'values' | 'own' | 'step'>[],
  times: number[],
): (number | null)[][] {
  return lines.map((line) => {
    const { values, own } = line
    const last = values.findLastIndex((value) => value !== null)
    if (last < 0 || last === values.length - 1) return values
    const from = own?.findLast((at) => at <= last) ?? last
    const end = (times[from] ?? 0) + 2 * stepFrom(line, times, from)
    if ((times.at(-1) ?? 0) > end) return values
    return values.map((value, at) => (at > last ? (values[last] ?? null) : value))
  })
}

/** Positions of values with a gap on both sides, which no line reaches: they are drawn as dots. */
export function lonePoints(values: ArrayLike<number | null | undefined>): number[] {
  const lone: number[] = []
  const present = (index: number) => (values[index] ?? null) !== null
  for (let index = 0; index < values.length; index++) {
    if (present(index) && !present(index - 1) && !present(index + 1)) lone.push(index)
  }
  return lone
}

/** The lines of each group stacked on each other; those of the group '' as they are. */
export function stackGroups(lines: (number | null)[][], groups: string[]): (number | null)[][] {
  const result = [...lines]
  for (const group of new Set(groups)) {
    if (!group) continue
    const members = [...groups.keys()].filter((index) => groups[index] === group)
    stack(members.map((index) => lines[index] ?? [])).forEach((values, position) => {
      result[members[position] ?? 0] = values
    })
  }
  return result
}

/** Each value in percent of its group's sum at that time. */
export function percentOf(lines: (number | null)[][], groups: string[]): (number | null)[][] {
  return lines.map((values, line) =>
    groups[line]
      ? values.map((value, at) => {
          if (value === null) return null
          const total = lines.reduce(
            (sum, other, index) =>
              groups[index] === groups[line] ? sum + Math.abs(other[at] ?? 0) : sum,
            0,
          )
          return total ? (value / total) * 100 : 0
        })
      : values,
  )
}

/** Running totals, positive and negative values separately; a gap adds nothing. */
export function stack(lines: (number | null)[][]): (number | null)[][] {
  const above: number[] = []
  const below: number[] = []
  return lines.map((values) =>
    values.map((value, index) => {
      if (value === null) return null
      const totals = value < 0 ? below : above
      totals[index] = (totals[index] ?? 0) + value
      return totals[index]
    }),
  )
}
