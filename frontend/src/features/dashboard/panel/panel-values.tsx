import clsx from 'clsx'
import type { Panel } from '@/api/generated/types.gen'
import { calculate, fullName, type Table } from '@/charts/chart-data'
import { GaugeChart } from '@/charts/gauge-chart'
import { applyOverrides, showValue, textColor } from '@/charts/series-style'
import { SeriesTable } from './series-table'

type Props = { panel: Panel; table: Table }

/** The most values that stay readable in one panel. */
const MOST_STATS = 24
const MOST_GAUGES = 12

export function Stat({ panel, table }: Props) {
  const { options } = panel
  const all = applyOverrides(table, options)
  const shown = all.slice(0, MOST_STATS)
  const several = shown.length > 1
  return (
    <div className="flex h-full flex-col overflow-y-auto">
      <div
        className={clsx(
          'grid min-h-0 flex-1 gap-2',
          several && 'grid-cols-[repeat(auto-fit,minmax(7rem,1fr))]',
        )}
      >
        {shown.map((line) => {
          const value = calculate(line.values, options.calculation)
          const { text, color } = showValue(value, line.unit, options, line.style)
          const filled = options.colorMode === 'background' && color
          const named =
            options.textMode === 'name' ||
            options.textMode === 'valueAndName' ||
            (options.textMode === 'auto' && several)
          return (
            <div
              key={line.key}
              title={several ? fullName(line) : undefined}
              className={clsx(
                'relative flex min-h-10 min-w-0 items-center overflow-hidden [container-type:size]',
                filled && 'rounded-md',
              )}
              style={
                filled
                  ? { background: `color-mix(in oklab, ${color} 28%, var(--surface))` }
                  : undefined
              }
            >
              {options.sparkline && line.values.length > 1 && (
                <Sparkline values={line.values} color={color ?? line.color} />
              )}
              <p
                className={clsx(
                  'relative w-full text-center',
                  // Above the sparkline, so that they do not overlap.
                  options.sparkline && 'pb-[26cqh]',
                )}
              >
                {named && (
                  <span
                    className={clsx(
                      'block truncate px-1',
                      options.textMode === 'name' ? 'text-base font-medium' : 'text-xs text-muted',
                    )}
                  >
                    {line.label}
                  </span>
                )}
                {options.textMode !== 'name' && options.textMode !== 'none' && (
                  <span
                    className={clsx(
                      'leading-tight font-semibold tracking-tight tabular-nums',
                      several
                        ? 'text-[clamp(1rem,min(14cqw,30cqh),2rem)]'
                        : options.sparkline
                          ? 'text-[clamp(1.1rem,min(16cqw,38cqh),3rem)]'
                          : 'text-[clamp(1.1rem,min(18cqw,50cqh),3rem)]',
                    )}
                    style={
                      color && options.colorMode === 'value'
                        ? { color: textColor(color) }
                        : undefined
                    }
                  >
                    {text}
                  </span>
                )}
              </p>
            </div>
          )
        })}
      </div>
      <More count={all.length - shown.length} />
    </div>
  )
}

/** Says how many values are not shown. */
function More({ count }: { count: number }) {
  if (count <= 0) return null
  return <p className="shrink-0 pt-1 text-center text-xs text-muted">and {count} more</p>
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
      className="absolute inset-x-0 bottom-0 h-2/5 w-full"
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
  const all = applyOverrides(table, options)
  const shown = all.slice(0, MOST_GAUGES)
  const several = shown.length > 1
  const low = options.min ?? 0
  const high = options.max ?? (options.unit === 'ratio' ? 1 : 100)
  return (
    <div className="flex h-full flex-col overflow-y-auto">
      <div
        className={clsx(
          // Rows of a definite height: the sizes inside are parts of it.
          'grid min-h-0 flex-1 auto-rows-[minmax(4.5rem,1fr)] gap-2',
          several && 'grid-cols-[repeat(auto-fit,minmax(8rem,1fr))]',
        )}
      >
        {shown.map((line) => {
          const value = calculate(line.values, options.calculation)
          const { text, color } = showValue(value, line.unit, options, line.style)
          return (
            <div key={line.key} className="flex h-full min-h-0 min-w-0 flex-col">
              <div className="relative min-h-0 flex-1 [container-type:size]">
                <div className="absolute inset-0 m-auto h-full max-h-[60cqw]">
                  <GaugeChart
                    value={value ?? low}
                    low={low}
                    high={high}
                    color={color ?? line.color}
                  />
                  <p className="absolute inset-x-0 bottom-[14%] truncate text-center text-[clamp(0.75rem,min(11cqw,17cqh),1.75rem)] font-semibold tabular-nums">
                    {text}
                  </p>
                </div>
              </div>
              {several && <p className="truncate text-center text-xs text-muted">{line.label}</p>}
            </div>
          )
        })}
      </div>
      <More count={all.length - shown.length} />
    </div>
  )
}

export function ValueTable({ panel, table }: Props) {
  const { options } = panel
  return (
    <section
      className="h-full overflow-auto"
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard
      tabIndex={0}
      aria-label={`${panel.title}: values`}
    >
      <SeriesTable
        lines={applyOverrides(table, options)}
        options={options}
        colored
        className="text-[13px]"
        name={(line) => <span className="block truncate px-1.5 py-0.5">{line.label}</span>}
      />
    </section>
  )
}
