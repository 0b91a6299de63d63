import clsx from 'clsx'
import { calculate, fullName } from '@/charts/chart-data'
import { applyOverrides, showValue } from '@/charts/series-style'
import type { KindProps } from './kind-props'

const MOST = 100

/** The end of a scale that is not given. */
export function highestOf(values: (number | undefined)[], unit: string | null): number {
  if (unit === 'percent') return 100
  if (unit === 'ratio') return 1
  const present = values.filter((value): value is number => value !== undefined)
  return Math.max(0, ...present) || 1
}

/** One bar for each series: its value on the scale from least to most. */
export default function BarGauge({ panel, table }: KindProps) {
  const { options } = panel
  const rows = applyOverrides(table, options).map((line) => ({
    line,
    value: calculate(line.values, options.calculation),
  }))
  const shown = rows.slice(0, MOST)
  const low = options.min ?? 0
  const values = rows.map(({ value }) => value)
  const high = options.max ?? highestOf(values, options.unit)
  const upright = options.orientation === 'vertical'
  const share = (value: number | undefined, least: number, most: number) =>
    value === undefined ? 0 : Math.min(1, Math.max(0, (value - least) / (most - least || 1)))
  return (
    <section
      className={clsx(
        'h-full gap-2 overflow-auto',
        upright
          ? 'flex items-stretch'
          : 'grid auto-rows-[minmax(1rem,3rem)] grid-cols-[fit-content(35%)_minmax(1.5rem,1fr)_max-content] content-center-safe',
      )}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard
      tabIndex={0}
      aria-label={`${panel.title}: values`}
    >
      {shown.map(({ line, value }) => {
        const { text, color } = showValue(value, line.unit, options, line.style)
        const fill = color ?? line.color
        const part = share(value, line.style?.min ?? low, line.style?.max ?? high) * 100
        const bar = (
          <span
            className="relative block min-h-3 min-w-3 flex-1 overflow-hidden rounded bg-raised"
            aria-hidden="true"
          >
            <span
              className="absolute rounded"
              style={{
                background:
                  options.shape === 'segments'
                    ? `repeating-linear-gradient(${upright ? 0 : 90}deg, ${fill} 0 6px, transparent 6px 8px)`
                    : options.shape === 'basic'
                      ? fill
                      : `linear-gradient(${upright ? 0 : 90}deg, color-mix(in oklab, ${fill} 45%, transparent), ${fill})`,
                ...(upright
                  ? { left: 0, right: 0, bottom: 0, height: `${part}%` }
                  : { top: 0, bottom: 0, left: 0, width: `${part}%` }),
              }}
            />
          </span>
        )
        return (
          <div
            key={line.key}
            title={`${fullName(line)}: ${text}`}
            className={clsx(
              upright
                ? 'flex min-w-0 flex-1 flex-col items-stretch text-center'
                : 'col-span-3 grid grid-cols-subgrid',
            )}
          >
            {upright ? (
              <>
                <span className="truncate text-sm font-medium tabular-nums">{text}</span>
                {bar}
                <span className="truncate text-xs text-muted">{line.label}</span>
              </>
            ) : (
              <>
                <span className="flex min-w-0 items-center justify-end">
                  <span className="truncate text-xs text-muted">{line.label}</span>
                </span>
                {bar}
                <span className="flex items-center text-sm font-medium tabular-nums">{text}</span>
              </>
            )}
          </div>
        )
      })}
      {rows.length > MOST && <p className="text-xs text-muted">and {rows.length - MOST} more</p>}
    </section>
  )
}
