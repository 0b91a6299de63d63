import { useMemo, useState } from 'react'
import type { Panel } from '@/api/generated/types.gen'
import { aligned, stack, type Table } from '@/charts/chart-data'
import { colorOf, resolveColor } from '@/charts/palette'
import { applyOverrides, showValue, withZeros } from '@/charts/series-style'
import { TimeChart } from '@/charts/time-chart'
import { useTheme } from '@/lib/theme'
import { formatValue } from '@/lib/units'
import { useAlertMarks } from '../alert-marks'
import type { BoardData } from '../use-board-data'
import { PanelLegend } from './panel-legend'

type Props = {
  panel: Panel
  kind: 'line' | 'area' | 'bar'
  table: Table
  data: BoardData
  onZoom: (start: number, end: number) => void
  onReset: () => void
}

/** A panel over time: line, area or bar, with its legend. */
export function PanelLines({ panel, kind, table, data, onZoom, onReset }: Props) {
  // Colours come from CSS variables, which change with the theme.
  useTheme((state) => state.shown)
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set())
  const { options } = panel
  const marks = useAlertMarks(panel)
  const all = useMemo(() => applyOverrides(table, options), [table, options])
  const lines = all.filter((line) => !hidden.has(line.key))
  const measured = lines.map((line) => aligned(line, table.times, 'held'))
  const signed = lines.map((line) => {
    const filled = options.nulls === 'zero' ? { ...line, values: withZeros(line) } : line
    // A bar stands where its sample is.
    const values = kind === 'bar' ? filled.values : aligned(filled, table.times, 'drawn')
    return line.negative ? values.map((value) => (value === null ? null : -value)) : values
  })
  const totals = options.stacked ? stack(signed) : signed
  // A logarithmic scale has no values at or below zero.
  const drawn =
    options.scale === 'log'
      ? totals.map((values) => values.map((value) => (value !== null && value > 0 ? value : null)))
      : totals
  const format = (value: number, decimals?: number) =>
    formatValue(value, options.unit, decimals ?? options.decimals)
  // Later series are painted over earlier ones: the highest of a stack comes first.
  const order = options.stacked ? [...lines.keys()].reverse() : [...lines.keys()]
  const pick = <T,>(list: T[]) => order.map((index) => list[index] as T)

  const click = (key: string, add: boolean) => {
    setHidden((before) => {
      if (add) {
        const next = new Set(before)
        if (!next.delete(key)) next.add(key)
        return next
      }
      const alone = !before.has(key) && before.size === table.lines.length - 1
      return alone
        ? new Set()
        : new Set(table.lines.map((line) => line.key).filter((other) => other !== key))
    })
  }
  return (
    <div className="flex h-full flex-col">
      <div className="min-h-0 flex-1">
        <TimeChart
          title={panel.title}
          times={table.times}
          drawn={pick(drawn)}
          measured={pick(measured)}
          identity={JSON.stringify([kind, options, lines.map((line) => line.key)])}
          start={data.start}
          end={data.end}
          onZoom={onZoom}
          onReset={onReset}
          style={{
            kind,
            stacked: options.stacked,
            log: options.scale === 'log',
            connect: options.nulls === 'connect',
            binary: /^(bytes|Bps)/.test(options.unit ?? ''),
            min: options.min,
            max: options.max,
            series: pick(lines).map((line) => ({
              label: line.label,
              color: resolveColor(line.color),
              format: (value) => showValue(value, line.unit, options).text,
            })),
            thresholds: options.thresholds.map((threshold, index) => ({
              value: threshold.value,
              color: resolveColor(colorOf(index + 1, threshold.color)),
            })),
            thresholdStyle: options.thresholdStyle,
            marks,
            axisColor: resolveColor('var(--muted)'),
            gridColor: resolveColor('var(--grid)'),
            format,
          }}
        />
      </div>
      <PanelLegend options={options} lines={all} hidden={hidden} onClick={click} />
    </div>
  )
}
