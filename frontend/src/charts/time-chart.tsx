import { useEffect, useLayoutEffect, useRef, useState } from 'react'
import uPlot from 'uplot'
import { timeZoneOf, useZone } from '@/lib/zone'
import { type ChartStyle, chartOptions } from './chart-options'

type Props = {
  /** Milliseconds. */
  times: number[]
  /** As drawn: stacked values where the panel stacks. */
  drawn: (number | null)[][]
  /** As measured, for the tooltip. */
  measured: (number | null)[][]
  style: ChartStyle
  /** Changes when the chart must be created again: other series or another style. */
  identity: string
  start: number
  end: number
  title: string
  onZoom: (start: number, end: number) => void
  onReset: () => void
}

/** `nearest`: the series drawn closest to the pointer. */
type Tip = { index: number; left: number; width: number; nearest: number | undefined }

/** uPlot in React: created when its identity changes, updated with data, resized, destroyed. */
export function TimeChart(props: Props) {
  const { times, drawn, style, identity, title } = props
  const box = useRef<HTMLDivElement>(null)
  const chart = useRef<uPlot | null>(null)
  const latest = useRef(props)
  const [tip, setTip] = useState<Tip | null>(null)
  const zone = useZone()
  latest.current = props

  const colors = [style.axisColor, ...style.series.map((series) => series.color)].join()

  useLayoutEffect(() => {
    const element = box.current
    if (!element) return
    const size = () => ({
      width: Math.max(50, element.clientWidth),
      height: Math.max(40, element.clientHeight),
    })
    const plot = new uPlot(
      chartOptions(
        latest.current.style,
        {
          style: () => latest.current.style,
          range: () => [latest.current.start / 1000, latest.current.end / 1000],
          onZoom: (start, end) => latest.current.onZoom(start, end),
          onCursor: (u) => {
            const own = u.cursor.event !== undefined && u.over.matches(':hover')
            const index = u.cursor.idx
            setTip(
              own && index !== null && index !== undefined
                ? {
                    index,
                    left: (u.cursor.left ?? 0) + u.over.offsetLeft,
                    width: element.clientWidth,
                    nearest: nearestSeries(u, index),
                  }
                : null,
            )
          },
        },
        size(),
        {
          bars: uPlot.paths.bars?.({ size: [0.7, 40] }),
          smooth: uPlot.paths.spline?.(),
          stepBefore: uPlot.paths.stepped?.({ align: -1 }),
          stepAfter: uPlot.paths.stepped?.({ align: 1 }),
          points: uPlot.paths.points?.(),
        },
        zone,
      ),
      toPlot(latest.current),
      element,
    )
    chart.current = plot
    plot.over.addEventListener('dblclick', () => latest.current.onReset())
    plot.over.addEventListener('mouseleave', () => setTip(null))
    const observer = new ResizeObserver(() => plot.setSize(size()))
    observer.observe(element)
    return () => {
      observer.disconnect()
      plot.destroy()
      chart.current = null
    }
  }, [identity, zone])

  useEffect(() => {
    chart.current?.setData(toPlot(latest.current))
  }, [times, drawn, props.start, props.end, colors])

  return (
    <div className="relative h-full min-h-0 w-full">
      <div ref={box} className="absolute inset-0" aria-hidden="true" />
      <table className="sr-only">
        <caption>{title}: last values</caption>
        <tbody>
          {style.series.map((series, index) => (
            <tr key={series.label + String(index)}>
              <th scope="row">{series.label}</th>
              <td>{lastText(props.measured[index] ?? [], series.format ?? style.format)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {tip && <Tooltip tip={tip} {...props} />}
    </div>
  )
}

function toPlot({ times, drawn, start, end }: Props): uPlot.AlignedData {
  // Without a sample uPlot has no scales, hence no axes and no zoom.
  if (!drawn.length || !times.length) return [[start / 1000, end / 1000], ...blank(drawn.length)]
  return [times.map((time) => time / 1000), ...drawn]
}

const blank = (count: number) => Array.from({ length: Math.max(1, count) }, () => [null, null])

function lastText(values: (number | null)[], format: (value: number) => string): string {
  const last = values.findLast((value) => value !== null)
  return last === null || last === undefined ? 'no data' : format(last)
}

/** The series whose point of an index lies closest to the pointer, by its place in the style. */
export function nearestSeries(
  u: Pick<uPlot, 'data' | 'series' | 'valToPos'> & { cursor: { top?: number } },
  index: number,
): number | undefined {
  const top = u.cursor.top ?? 0
  let nearest: number | undefined
  let least = Number.POSITIVE_INFINITY
  for (let at = 1; at < u.data.length; at += 1) {
    const value = u.data[at]?.[index]
    if (value === null || value === undefined) continue
    const away = Math.abs(u.valToPos(value, u.series[at]?.scale ?? 'y') - top)
    if (away < least) {
      least = away
      nearest = at - 1
    }
  }
  return nearest
}

const CLOCK = { dateStyle: 'medium', timeStyle: 'medium' } as const
const clocks = {
  browser: new Intl.DateTimeFormat(undefined, CLOCK),
  utc: new Intl.DateTimeFormat(undefined, { ...CLOCK, timeZone: timeZoneOf('utc') }),
}

function Tooltip({ tip, times, measured, style }: Props & { tip: Tip }) {
  const zone = useZone()
  const time = times[tip.index]
  if (time === undefined) return null
  const rows = style.series
    .map((series, index) => ({ ...series, index, value: measured[index]?.[tip.index] ?? null }))
    .filter((row) => row.value !== null)
    .filter((row) => style.tooltip !== 'single' || row.index === tip.nearest)
  if (style.tooltip === 'hidden') return null
  if (style.tooltipSort !== 'none') {
    const sign = style.tooltipSort === 'asc' ? 1 : -1
    rows.sort((a, b) => sign * ((a.value ?? 0) - (b.value ?? 0)))
  }
  const right = tip.left > tip.width / 2
  return (
    <div
      role="tooltip"
      className="pointer-events-none absolute top-2 z-20 max-w-64 rounded-md border border-line bg-surface/95 px-2.5 py-2 text-xs shadow-lg"
      style={right ? { right: tip.width - tip.left + 14 } : { left: tip.left + 14 }}
    >
      <div className="mb-1 text-muted">
        {clocks[zone].format(time)}
        {zone === 'utc' && ' UTC'}
      </div>
      {rows.slice(0, 12).map((row) => (
        <div key={row.index} className="flex items-center gap-2">
          <span className="size-2 shrink-0 rounded-full" style={{ background: row.color }} />
          <span className="truncate">{row.label}</span>
          <span className="ml-auto pl-3 font-medium tabular-nums">
            {(row.format ?? style.format)(row.value ?? 0)}
          </span>
        </div>
      ))}
      {rows.length > 12 && <div className="text-muted">and {rows.length - 12} more</div>}
      {rows.length === 0 && <div className="text-muted">No data at this time</div>}
    </div>
  )
}
