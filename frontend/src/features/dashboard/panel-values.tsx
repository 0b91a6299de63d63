import type { Panel } from '@/api/generated/types.gen'
import { calculate, type Table } from '@/charts/data'
import { colorOf } from '@/charts/palette'
import { formatValue } from '@/lib/units'

type Props = { panel: Panel; table: Table }

/** The colour of the highest threshold that a value has reached. */
function thresholdColor(panel: Panel, value: number | undefined): string | undefined {
  if (value === undefined) return undefined
  const reached = panel.options.thresholds
    .filter((threshold) => value >= threshold.value)
    .sort((a, b) => b.value - a.value)[0]
  return reached && colorOf(1, reached.color)
}

export function Stat({ panel, table }: Props) {
  const { options } = panel
  const shown = table.lines.slice(0, 4)
  return (
    <div className="flex h-full flex-col">
      {shown.map((line, index) => {
        const value = calculate(line.values, options.calculation)
        const color = thresholdColor(panel, value)
        return (
          <div key={line.key} className="relative flex min-h-0 flex-1 items-center">
            {options.sparkline && (
              <Sparkline values={line.values} color={color ?? colorOf(index, options.color)} />
            )}
            <p className="relative w-full text-center">
              {shown.length > 1 && (
                <span className="block truncate text-xs text-muted">{line.label}</span>
              )}
              <span className="text-[clamp(1.1rem,2.4vw,2rem)] leading-tight font-semibold tracking-tight tabular-nums">
                {formatValue(value, options.unit, options.decimals)}
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
  const value = calculate(table.lines[0]?.values ?? [], options.calculation)
  const low = options.min ?? 0
  const high = options.max ?? 100
  const share = value === undefined ? 0 : Math.min(1, Math.max(0, (value - low) / (high - low)))
  const color = thresholdColor(panel, value) ?? colorOf(0, options.color)
  return (
    <div className="relative flex h-full items-center justify-center">
      <svg viewBox="0 0 100 60" className="h-full max-w-full" aria-hidden="true">
        <path
          d="M10 52 A40 40 0 0 1 90 52"
          fill="none"
          stroke="var(--raised)"
          strokeWidth="9"
          strokeLinecap="round"
        />
        <path
          d="M10 52 A40 40 0 0 1 90 52"
          fill="none"
          stroke={color}
          strokeWidth="9"
          strokeLinecap="round"
          pathLength={100}
          strokeDasharray={`${share * 100} 200`}
          visibility={share === 0 ? 'hidden' : undefined}
        />
      </svg>
      <p className="absolute bottom-[14%] text-2xl font-semibold tabular-nums">
        {formatValue(value, options.unit, options.decimals)}
      </p>
    </div>
  )
}

const COLUMNS = ['last', 'min', 'max', 'avg'] as const

export function ValueTable({ panel, table }: Props) {
  const { unit, decimals } = panel.options
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
          {table.lines.map((line) => (
            <tr key={line.key} className="border-t border-line">
              <td className="max-w-48 truncate py-1">{line.label}</td>
              {COLUMNS.map((column) => (
                <td key={column} className="py-1 pl-3 text-right tabular-nums">
                  {formatValue(calculate(line.values, column), unit, decimals)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  )
}
