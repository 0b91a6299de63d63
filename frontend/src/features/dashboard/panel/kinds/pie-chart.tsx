import clsx from 'clsx'
import { useState } from 'react'
import { calculate } from '@/charts/chart-data'
import { applyOverrides, showValue } from '@/charts/series-style'
import type { KindProps } from './kind-props'

const TURN = 2 * Math.PI

/** The outline of a slice between two shares of the circle. */
function slicePath(from: number, to: number, inner: number): string {
  const point = (share: number, radius: number) =>
    `${50 + radius * Math.sin(share * TURN)} ${50 - radius * Math.cos(share * TURN)}`
  const large = to - from > 0.5 ? 1 : 0
  const outer = `M ${point(from, 48)} A 48 48 0 ${large} 1 ${point(to, 48)}`
  return inner
    ? `${outer} L ${point(to, inner)} A ${inner} ${inner} 0 ${large} 0 ${point(from, inner)} Z`
    : `${outer} L 50 50 Z`
}

/** Shares of a whole, as a pie or a donut, with a legend of values and percent. */
export default function PieChart({ panel, table }: KindProps) {
  const { options } = panel
  const [pointed, setPointed] = useState<string>()
  const lines = applyOverrides(table, options)
    .map((line) => ({ line, value: calculate(line.values, options.calculation) ?? 0 }))
    .filter(({ value }) => value > 0)
    .sort((a, b) => b.value - a.value)
  const total = lines.reduce((sum, { value }) => sum + value, 0)
  let at = 0
  const slices = lines.map(({ line, value }) => {
    const shown = showValue(value, line.unit, options, line.style)
    const from = at
    at += value / total
    return {
      line,
      from,
      // A whole circle has no start and end that an arc could join.
      to: Math.min(at, from + 0.9999),
      text: shown.text,
      percent: `${((value / total) * 100).toFixed(value / total < 0.1 ? 1 : 0)} %`,
      color: (options.colorBy === 'value' ? shown.color : undefined) ?? line.color,
    }
  })
  if (!total) return <p className="grid h-full place-items-center text-muted">No data</p>
  const donut = options.shape === 'donut'
  return (
    <div
      className={clsx(
        'flex h-full min-h-0 gap-3',
        options.legendSide === 'right' ? 'flex-row' : 'flex-col',
      )}
    >
      <div className="relative min-h-0 min-w-0 flex-1">
        <svg viewBox="0 0 100 100" className="absolute inset-0 h-full w-full" aria-hidden="true">
          {slices.map(({ line, from, to, text, percent, color }) => (
            // biome-ignore lint/a11y/noStaticElementInteractions: the legend says the same
            <path
              key={line.key}
              d={slicePath(from, to, donut ? 30 : 0)}
              fill={color}
              stroke="var(--surface)"
              strokeWidth="0.6"
              opacity={pointed && pointed !== line.key ? 0.35 : 1}
              onMouseEnter={() => setPointed(line.key)}
              onMouseLeave={() => setPointed(undefined)}
            >
              <title>{`${line.label}: ${text} (${percent})`}</title>
            </path>
          ))}
        </svg>
      </div>
      {options.showLegend && (
        <ul
          aria-label="Legend"
          className={clsx(
            'when-roomy overflow-y-auto text-xs',
            options.legendSide === 'right' ? 'max-w-[50%] self-center' : 'max-h-[40%] shrink-0',
          )}
        >
          {slices.map(({ line, text, percent, color }) => (
            <li
              key={line.key}
              className="flex items-center gap-1.5 rounded px-1 py-0.5 hover:bg-raised"
              onMouseEnter={() => setPointed(line.key)}
              onMouseLeave={() => setPointed(undefined)}
            >
              <span className="size-2.5 shrink-0 rounded-sm" style={{ background: color }} />
              <span className="truncate">{line.label}</span>
              <span className="ml-auto shrink-0 pl-2 tabular-nums">{text}</span>
              <span className="w-12 shrink-0 text-right text-muted tabular-nums">{percent}</span>
            </li>
          ))}
        </ul>
      )}
    </div>
  )
}
