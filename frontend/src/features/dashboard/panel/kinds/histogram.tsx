import { calculate } from '@/charts/chart-data'
import { histogramOf } from '@/charts/heat-grid'
import { applyOverrides } from '@/charts/series-style'
import { formatValue } from '@/lib/units'
import { Bars } from './bars'
import type { KindProps } from './kind-props'

const BUCKETS = 24

/** How often the values of all series fall into buckets. */
export default function Histogram({ panel, table }: KindProps) {
  const { options } = panel
  const lines = applyOverrides(table, options)
  // Series that are buckets already: their newest counts.
  const isBuckets = lines.length > 1 && lines.every(({ tags }) => tags?.le !== undefined)
  const format = (value: number) => formatValue(value, 'short')
  const color = lines[0]?.color ?? 'var(--series-1)'
  const bar = (label: string, value: number) => ({
    label,
    bars: [{ name: '', value, text: format(value), color }],
  })
  let groups: ReturnType<typeof bar>[]
  if (isBuckets) {
    const bound = (le: string | undefined) => (/inf/i.test(le ?? '') ? Infinity : Number(le))
    const sorted = [...lines].sort((a, b) => bound(a.tags?.le) - bound(b.tags?.le))
    let below = 0
    groups = sorted.map((line) => {
      const total = calculate(line.values, 'last') ?? 0
      const own = Math.max(0, total - below)
      below = total
      return bar(line.tags?.le ?? '', own)
    })
  } else {
    const values = lines.flatMap((line) => line.values.filter((value) => value !== null))
    const { edges, counts } = histogramOf(values, BUCKETS)
    groups = counts.map((count, at) =>
      bar(formatValue(edges[at], options.unit, options.decimals), count),
    )
  }
  const high = Math.max(1, ...groups.map(({ bars }) => bars[0]?.value ?? 0))
  return <Bars title={panel.title} groups={groups} format={format} low={0} high={high} dense />
}
