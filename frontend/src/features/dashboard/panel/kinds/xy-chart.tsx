import { applyOverrides } from '@/charts/series-style'
import { formatValue } from '@/lib/units'
import type { KindProps } from './kind-props'

const MOST_POINTS = 3000

/** Points of one series over another: the first is the horizontal axis. */
export default function XyChart({ panel, table }: KindProps) {
  const { options } = panel
  const [across, ...others] = applyOverrides(table, options)
  if (!across || !others.length) {
    return <p className="grid h-full place-items-center text-muted">Two series are needed</p>
  }
  const points = others.flatMap((line) =>
    line.values.flatMap((y, at) => {
      const x = across.values[at] ?? null
      return x === null || y === null ? [] : [{ x, y, line, at }]
    }),
  )
  const every = Math.max(1, Math.ceil(points.length / MOST_POINTS))
  const shown = points.filter((_, index) => index % every === 0)
  const xs = shown.map(({ x }) => x)
  const ys = shown.map(({ y }) => y)
  const [left, right] = [Math.min(...xs), Math.max(...xs)]
  const [low, high] = [options.min ?? Math.min(...ys), options.max ?? Math.max(...ys)]
  const place = (value: number, least: number, most: number) =>
    2 + ((value - least) / (most - least || 1)) * 96
  return (
    <div className="flex h-full flex-col">
      <div className="flex min-h-0 flex-1">
        <div
          className="flex w-16 shrink-0 flex-col justify-between pr-2 text-right text-[11px] text-muted"
          aria-hidden="true"
        >
          <span className="truncate">{formatValue(high, others[0]?.unit)}</span>
          <span className="truncate">{formatValue(low, others[0]?.unit)}</span>
        </div>
        <div className="relative min-w-0 flex-1 rounded border border-(--grid)">
          {shown.map(({ x, y, line, at }) => (
            <span
              key={`${line.key}-${at}`}
              className="absolute size-1.5 -translate-x-1/2 translate-y-1/2 rounded-full opacity-70"
              title={`${across.label} ${formatValue(x, across.unit)}, ${line.label} ${formatValue(y, line.unit)}`}
              style={{
                left: `${place(x, left, right)}%`,
                bottom: `${place(y, low, high)}%`,
                background: line.color,
              }}
            />
          ))}
        </div>
      </div>
      <div className="ml-16 flex justify-between text-[11px] text-muted" aria-hidden="true">
        <span>{formatValue(left, across.unit)}</span>
        <span className="truncate">{across.label}</span>
        <span>{formatValue(right, across.unit)}</span>
      </div>
      <p className="sr-only">
        {shown.length} points of {others.map(({ label }) => label).join(', ')} over {across.label}.
      </p>
    </div>
  )
}
