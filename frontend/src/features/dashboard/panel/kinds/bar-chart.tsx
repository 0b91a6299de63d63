import { calculate } from '@/charts/chart-data'
import { colorOf } from '@/charts/palette'
import { applyOverrides, overrideOf, showValue } from '@/charts/series-style'
import { formatValue } from '@/lib/units'
import { type BarGroup, Bars } from './bars'
import type { KindProps } from './kind-props'

const MOST = 200

/** Bars by category: the first text of a table's rows, or the series. */
export default function BarChart({ panel, table, frames }: KindProps) {
  const { options } = panel
  const frame = frames.find(({ fields }) => fields.some(({ type }) => type === 'text'))
  const names = frame?.fields.find(({ type }) => type === 'text')
  const numbers = frame?.fields.filter(({ type }) => type === 'number') ?? []
  const groups: BarGroup[] =
    names && numbers.length
      ? names.values.map((name, row) => ({
          label: String(name ?? ''),
          bars: numbers.flatMap((field, index) => {
            const override = overrideOf(options.overrides, { name: field.name, query: field.ref })
            if (override.hidden) return []
            const value = field.values[row] as number | null
            const shown = showValue(value ?? undefined, override.unit ?? options.unit, options)
            const own = colorOf(index, override.color, options.palette)
            return {
              name: override.label ?? field.name,
              value,
              text: shown.text,
              color: (options.colorBy === 'value' ? shown.color : undefined) ?? own,
            }
          }),
        }))
      : applyOverrides(table, options).map((line) => {
          const value = calculate(line.values, options.calculation)
          const { text, color } = showValue(value, line.unit, options, line.style)
          const fill = (options.colorBy === 'value' ? color : undefined) ?? line.color
          return {
            label: line.label,
            bars: [{ name: line.label, value: value ?? null, text, color: fill }],
          }
        })
  const shown = groups.slice(0, MOST)
  const values = shown.flatMap(({ bars }) => bars.flatMap(({ value }) => value ?? []))
  const low = options.min ?? Math.min(0, ...values)
  const high = options.max ?? (Math.max(0, ...values) || 1)
  return (
    <Bars
      title={panel.title}
      groups={shown}
      format={(value) => formatValue(value, options.unit, options.decimals)}
      low={low}
      high={high}
    />
  )
}
