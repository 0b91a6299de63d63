import clsx from 'clsx'
import { useMemo, useState } from 'react'
import type { Panel } from '@/api/generated/types.gen'
import {
  aligned,
  heldToEnd,
  type Line,
  percentOf,
  stackGroups,
  type Table,
} from '@/charts/chart-data'
import { colorOf, resolveColor } from '@/charts/palette'
import {
  absoluteThresholds,
  applyOverrides,
  type StyledLine,
  showValue,
  withZeros,
} from '@/charts/series-style'
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

const DASHES = { solid: undefined, dash: [8, 6], dot: [2, 4] } as const

/** How the right axis writes its values: in the unit of the first series that is drawn on it. */
function rightFormat(lines: StyledLine[], options: Panel['options']) {
  const first = lines.find(({ look }) => (look?.axis ?? options.axis) === 'right')
  return (
    first &&
    ((value: number, decimals?: number) =>
      formatValue(value, first.unit, decimals ?? first.style?.decimals ?? options.decimals))
  )
}

/** A panel over time: line, area or bar, with its legend. */
export function PanelLines({ panel, kind, table, data, onZoom, onReset }: Props) {
  // Colours come from CSS variables, which change with the theme.
  useTheme((state) => state.shown)
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set())
  const { options } = panel
  const marks = useAlertMarks(panel, data.start, data.end)
  const all = useMemo(() => applyOverrides(table, options), [table, options])
  const lines = all.filter((line) => !hidden.has(line.key))
  const measured = lines.map((line) => aligned(line, table.times, 'held'))
  // A bar stands where its sample is. In a stack it stands until the next one: the total has no combs.
  const how = kind === 'bar' ? 'held' : options.stacked ? 'stacked' : 'drawn'
  const align = (line: Line) => aligned(line, table.times, how)
  const signed = lines.map((line) => {
    const filled = options.nulls === 'zero' ? { ...line, values: withZeros(line) } : line
    const values = kind === 'bar' && !options.stacked ? filled.values : align(filled)
    return line.negative ? values.map((value) => (value === null ? null : -value)) : values
  })
  // A series may be stacked in a group of its own, or not at all: a total beside its parts.
  const groups = lines.map(({ look }) => look?.stack ?? (options.stacked ? 'A' : ''))
  const stacked = groups.some(Boolean)
  const ends = heldToEnd(
    signed.map((values, index) => ({ ...lines[index], values })),
    table.times,
  )
  const parts = signed.map((values, index) => (groups[index] ? (ends[index] ?? values) : values))
  const totals = stackGroups(options.stackPercent ? percentOf(parts, groups) : parts, groups)
  // A logarithmic scale has no values at or below zero.
  const drawn =
    options.scale === 'log'
      ? totals.map((values) => values.map((value) => (value !== null && value > 0 ? value : null)))
      : totals
  const format = (value: number, decimals?: number) =>
    formatValue(
      value,
      options.stackPercent ? 'percent' : options.unit,
      decimals ?? options.decimals,
    )
  // Later series are painted over earlier ones: the highest of a stack comes first.
  // A series that is not stacked is drawn above those that are.
  const order = stacked
    ? [...lines.keys()].reverse().sort((a, b) => Number(!groups[a]) - Number(!groups[b]))
    : [...lines.keys()]
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
    <div className={clsx('flex h-full', options.legendSide === 'right' ? 'flex-row' : 'flex-col')}>
      <div className="min-h-0 min-w-0 flex-1">
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
            log: options.scale === 'log',
            connect: options.nulls === 'connect',
            binary: /^(bytes|Bps)/.test(options.unit ?? ''),
            min: options.min,
            max: options.stackPercent ? 100 : options.max,
            softMin: options.softMin,
            softMax: options.softMax,
            axisLabel: options.axisLabel,
            leftAxis: options.axis !== 'hidden',
            rightFormat: rightFormat(lines, options),
            tooltip: options.tooltip,
            tooltipSort: options.tooltipSort,
            series: pick(lines).map((line) => ({
              label: line.label,
              color: resolveColor(line.color),
              format: (value) => showValue(value, line.unit, options, line.style).text,
              kind: line.look?.kind ?? undefined,
              right: (line.look?.axis ?? options.axis) === 'right',
              width: line.look?.lineWidth ?? options.lineWidth ?? undefined,
              fill: line.look?.fill ?? options.fill ?? undefined,
              gradient: options.gradient,
              dash: DASHES[line.look?.lineStyle ?? options.lineStyle ?? 'solid'],
              interpolation: line.look?.interpolation ?? options.interpolation,
              points: line.look?.points ?? options.points,
            })),
            thresholds: (options.thresholdStyle === 'none'
              ? []
              : absoluteThresholds(options.thresholds, options)
            ).map((threshold, index) => ({
              value: threshold.value,
              color: resolveColor(colorOf(index + 1, threshold.color)),
            })),
            thresholdStyle: options.thresholdStyle === 'none' ? 'line' : options.thresholdStyle,
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
