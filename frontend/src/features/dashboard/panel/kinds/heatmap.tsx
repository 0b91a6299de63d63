import { useEffect, useRef, useState } from 'react'
import { bucketGrid, type Grid } from '@/charts/heat-grid'
import { resolveColor } from '@/charts/palette'
import { useTheme } from '@/lib/theme'
import { formatValue } from '@/lib/units'
import { timeZoneOf, useZone } from '@/lib/zone'
import type { KindProps } from './kind-props'
import { TimeAxis } from './time-axis'

const AXIS = 64

/** How often values fell into buckets over time, the more the stronger. */
export default function Heatmap({ panel, table, data }: KindProps) {
  const theme = useTheme((state) => state.shown)
  const zone = useZone()
  const canvas = useRef<HTMLCanvasElement>(null)
  const [tip, setTip] = useState<{ x: number; y: number; text: string }>()
  const { options } = panel
  const end = Math.max(data.end, table.times.at(-1) ?? 0)
  const grid = bucketGrid(table, data.start, end, options.buckets ?? false)
  useEffect(() => {
    const element = canvas.current
    if (element) paint(element, grid, theme)
  })
  const label = (row: number) =>
    grid.labels[row] ?? formatValue(grid.edges[row], options.unit, options.decimals)
  const step = Math.max(1, Math.ceil(grid.rows / 6))
  const clock = new Intl.DateTimeFormat(undefined, {
    dateStyle: 'short',
    timeStyle: 'short',
    timeZone: timeZoneOf(zone),
  })
  const point = (event: React.MouseEvent<HTMLCanvasElement>) => {
    const box = event.currentTarget.getBoundingClientRect()
    const column = Math.floor(((event.clientX - box.left) / box.width) * grid.columns)
    const row = grid.rows - 1 - Math.floor(((event.clientY - box.top) / box.height) * grid.rows)
    const count = grid.counts[row * grid.columns + column]
    const at = data.start + ((column + 0.5) / grid.columns) * (end - data.start)
    setTip(
      count
        ? {
            x: event.clientX - box.left,
            y: event.clientY - box.top,
            text: `${clock.format(at)} · ${label(row)}: ${formatValue(count, 'short')}`,
          }
        : undefined,
    )
  }
  return (
    <div className="flex h-full flex-col">
      <div className="relative flex min-h-0 flex-1">
        <div className="relative shrink-0" style={{ width: AXIS }} aria-hidden="true">
          {Array.from({ length: grid.rows }, (_, row) => row)
            .filter((row) => row % step === 0)
            .map((row) => (
              <span
                key={row}
                className="absolute right-2 max-w-full translate-y-1/2 truncate text-[11px] text-muted"
                style={{ bottom: `${((row + 0.5) / grid.rows) * 100}%` }}
              >
                {label(row)}
              </span>
            ))}
        </div>
        <div className="relative min-w-0 flex-1">
          <canvas
            ref={canvas}
            className="absolute inset-0 h-full w-full rounded"
            style={{ imageRendering: 'pixelated' }}
            onMouseMove={point}
            onMouseLeave={() => setTip(undefined)}
            role="img"
            aria-label={`${panel.title}: ${grid.rows} buckets over time, at most ${formatValue(grid.most, 'short')}`}
          />
          {tip && (
            <span
              role="tooltip"
              className="pointer-events-none absolute z-10 rounded-md border border-line bg-surface px-2 py-1 text-xs whitespace-nowrap shadow-lg"
              style={{ left: Math.max(0, tip.x - 90), top: Math.max(0, tip.y - 34) }}
            >
              {tip.text}
            </span>
          )}
        </div>
      </div>
      <TimeAxis start={data.start} end={end} inset={AXIS} />
    </div>
  )
}

/** One pixel for each cell; the browser scales the picture. */
function paint(element: HTMLCanvasElement, grid: Grid, _theme: string) {
  element.width = Math.max(1, grid.columns)
  element.height = Math.max(1, grid.rows)
  const context = element.getContext('2d')
  if (!context) return
  const color = resolveColor('var(--series-1)')
  const empty = resolveColor('var(--raised)')
  context.fillStyle = empty
  context.fillRect(0, 0, grid.columns, grid.rows)
  context.fillStyle = color
  for (let row = 0; row < grid.rows; row += 1) {
    for (let column = 0; column < grid.columns; column += 1) {
      const count = grid.counts[row * grid.columns + column] ?? 0
      if (count <= 0) continue
      // The root lets few beside many be seen.
      context.globalAlpha = 0.12 + 0.88 * Math.sqrt(count / grid.most)
      context.fillRect(column, grid.rows - 1 - row, 1, 1)
    }
  }
  context.globalAlpha = 1
}
