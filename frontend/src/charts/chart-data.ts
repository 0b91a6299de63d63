import type { QueryData } from '@/api/generated/types.gen'

export type Line = {
  key: string
  label: string
  values: (number | null)[]
  /** Where its own times are, if others share the axis: elsewhere a null is no gap. */
  own?: number[]
}

/** The labels of series: an alias, else the tags that differ, else the metric's name. */
export function labelSeries(
  series: { name: string; tags: Record<string, string> }[],
  alias?: string | null,
): string[] {
  if (alias) {
    return series.map((line) =>
      alias.replace(/\{\{\s*([\w.]+)\s*\}\}/g, (_, key: string) =>
        key === '__name__' ? line.name : (line.tags[key] ?? ''),
      ),
    )
  }
  const keys = new Set(series.flatMap((line) => Object.keys(line.tags)))
  const differing = [...keys].filter(
    (key) => new Set(series.map((line) => line.tags[key] ?? '')).size > 1,
  )
  return series.map((line) => {
    const parts = differing.map((key) => line.tags[key]).filter(Boolean)
    return parts.length ? parts.join(' · ') : line.name
  })
}

export type Table = { times: number[]; lines: Line[] }

/** Joins the results of a panel's queries on one time axis. Times are milliseconds. */
export function joinResults(
  results: { data: QueryData; alias?: string | null; prefix?: string }[],
): Table {
  const times = [...new Set(results.flatMap((result) => result.data.timestamps))].sort(
    (a, b) => a - b,
  )
  const at = new Map(times.map((time, index) => [time, index]))
  const several = results.filter((result) => result.data.series.length).length > 1
  const lines = results.flatMap(({ data, alias, prefix }, number) => {
    const labels = labelSeries(data.series, alias)
    return data.series.map((series, index) => {
      const values: (number | null)[] =
        data.timestamps.length === times.length ? series.values : Array(times.length).fill(null)
      if (values !== series.values) {
        data.timestamps.forEach((time, position) => {
          values[at.get(time) ?? 0] = series.values[position] ?? null
        })
      }
      const own = labels[index] ?? series.name
      const label =
        several && !alias && own !== series.name ? `${prefix ?? series.name} ${own}` : own
      const shared =
        data.timestamps.length === times.length
          ? {}
          : { own: data.timestamps.map((time) => at.get(time) ?? 0) }
      return {
        ...shared,
        key: `${number}:${series.name}:${JSON.stringify(series.tags)}`,
        label,
        values,
      }
    })
  })
  return { times, lines }
}

/**
 * The values of a line at each time of an axis that it shares with lines of another step: between
 * two of its own points on the straight line (`drawn`), or the one before (`held`). A gap stays one.
 */
export function aligned(
  { values, own }: Pick<Line, 'values' | 'own'>,
  times: number[],
  how: 'drawn' | 'held',
) {
  if (!own) return values
  const all: (number | null)[] = Array(values.length).fill(null)
  own.forEach((at, position) => {
    const value = values[at] ?? null
    all[at] = value
    const next = own[position + 1]
    if (value === null || next === undefined) return
    const after = values[next] ?? null
    if (after === null) return
    const [start = 0, end = 0] = [times[at], times[next]]
    for (let between = at + 1; between < next; between += 1) {
      const share = ((times[between] ?? start) - start) / (end - start)
      all[between] = how === 'held' ? value : value + (after - value) * share
    }
  })
  return all
}

export type Calculation = 'last' | 'avg' | 'min' | 'max' | 'sum'

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
  }
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
