import { lazy, Suspense } from 'react'
import type { Panel } from '@/api/generated/types.gen'
import { calculate, type Table } from '@/charts/data'
import { dress, thresholdColor } from '@/charts/looks'
import { formatValue } from '@/lib/units'

const GaugeChart = lazy(() => import('@/charts/gauge-chart'))

type Props = { panel: Panel; table: Table }

export function Stat({ panel, table }: Props) {
  const { options } = panel
  const shown = dress(table, options).slice(0, 4)
  return (
    <div className="flex h-full flex-col">
      {shown.map((line) => {
        const value = calculate(line.values, options.calculation)
        const color = thresholdColor(options.thresholds, value)
        return (
          <div key={line.key} className="relative flex min-h-0 flex-1 items-center">
            {options.sparkline && <Sparkline values={line.values} color={color ?? line.color} />}
            <p className="relative w-full text-center">
              {shown.length > 1 && (
                <span className="block truncate text-xs text-muted">{line.label}</span>
              )}
              <span
                className="text-[clamp(1.1rem,2.4vw,2rem)] leading-tight font-semibold tracking-tight tabular-nums"
                style={
                  color ? { color: `color-mix(in oklab, ${color} 72%, var(--text))` } : undefined
                }
              >
                {formatValue(value, line.unit, options.decimals)}
              </span>
            </p>
          </div>
        )
      })}
    </div>
  )
}

function Sparkline({ values, color }: { values: (number | null)[]; color: string }) {
  const present = values.filter((value): value is number => value !== null)
  if (present.length < 2) return null
  const low = Math.min(...present)
  const span = Math.max(...present) - low || 1
  const points = values.flatMap((value, index) =>
    value === null
      ? []
      : [`${(index / (values.length - 1)) * 100},${38 - ((value - low) / span) * 34}`],
  )
  const first = points[0]?.split(',')[0]
  const last = points.at(-1)?.split(',')[0]
  return (
    <svg
      viewBox="0 0 100 40"
      preserveAspectRatio="none"
      className="absolute inset-x-0 bottom-0 h-3/5 w-full"
      aria-hidden="true"
    >
      <polygon points={`${first},40 ${points.join(' ')} ${last},40`} fill={color} opacity="0.12" />
      <polyline
        points={points.join(' ')}
        fill="none"
        stroke={color}
        strokeWidth="1.5"
        vectorEffect="non-scaling-stroke"
        opacity="0.7"
      />
    </svg>
  )
}

export function Gauge({ panel, table }: Props) {
  const { options } = panel
  const shown = dress(table, options).slice(0, 6)
  const low = options.min ?? 0
  const high = options.max ?? 100
  return (
    <div className="flex h-full">
      {shown.map((line) => {
        const value = calculate(line.values, options.calculation)
        return (
          <div key={line.key} className="relative flex min-w-0 flex-1 flex-col">
            <div className="relative min-h-0 flex-1 [container-type:size]" aria-hidden="true">
              {/* Half a ring is no wider than its box: the library sizes it by the height alone. */}
              <div className="absolute inset-0 m-auto h-[min(100cqh,62cqw)]">
                <Suspense>
                  <GaugeChart
                    value={value ?? low}
                    low={low}
                    high={high}
                    color={thresholdColor(options.thresholds, value) ?? line.color}
                  />
                </Suspense>
              </div>
            </div>
            <p className="absolute inset-x-0 bottom-[16%] text-center text-2xl font-semibold tabular-nums">
              {formatValue(value, line.unit, options.decimals)}
            </p>
            {shown.length > 1 && (
              <p className="truncate text-center text-xs text-muted">{line.label}</p>
            )}
          </div>
        )
      })}
    </div>
  )
}

const COLUMNS = ['last', 'min', 'max', 'avg'] as const

export function ValueTable({ panel, table }: Props) {
  const { options } = panel
  const { decimals } = options
  return (
    <section
      className="h-full overflow-auto"
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard
      tabIndex={0}
      aria-label={`${panel.title}: values`}
    >
      <table className="w-full text-left text-[13px]">
        <thead className="text-xs text-muted">
          <tr>
            <th className="py-1 font-medium">Series</th>
            {COLUMNS.map((column) => (
              <th key={column} className="py-1 pl-3 text-right font-medium">
                {column}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {dress(table, options).map((line) => (
            <tr key={line.key} className="border-t border-line">
              <td className="max-w-48 truncate py-1">{line.label}</td>
              {COLUMNS.map((column) => (
                <td key={column} className="py-1 pl-3 text-right tabular-nums">
                  {formatValue(calculate(line.values, column), line.unit, decimals)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  )
}
