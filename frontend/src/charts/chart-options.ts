import type uPlot from 'uplot'
import type { Zone } from '@/lib/zone'
import { lonePoints } from './chart-data'

export type ChartStyle = {
  kind: 'line' | 'area' | 'bar'
  stacked: boolean
  log: boolean
  connect: boolean
  min?: number | null
  max?: number | null
  series: { label: string; color: string; format?: (value: number) => string }[]
  thresholds: { value: number; color: string }[]
  thresholdStyle: 'line' | 'area' | 'both'
  /** Times, in milliseconds, that are marked by a vertical line. */
  marks?: { time: number; color: string }[]
  axisColor: string
  gridColor: string
  /** Whether the scale counts in powers of two, as bytes do. */
  binary: boolean
  format: (value: number, decimals?: number) => string
}

export type ChartCallbacks = {
  range: () => [number, number]
  onCursor: (chart: uPlot) => void
  onZoom: (start: number, end: number) => void
  /** The style as it is now: a chart is redrawn, not created again, when only colours change. */
  style?: () => ChartStyle
}

/**
 * In pixels. Many lines are easier to distinguish when they are thin, and without a graphics
 * processor a line of one pixel is drawn ten times as fast as a wider one.
 */
const lineWidth = (series: number) => (series > 4 ? 1 : 1.6)

/** uPlot's options for a style; pure but for the paths that uPlot's own module builds. */
export function chartOptions(
  style: ChartStyle,
  calls: ChartCallbacks,
  size: { width: number; height: number },
  bars: uPlot.Series.PathBuilder | undefined,
  zone: Zone = 'browser',
): uPlot.Options {
  const font = '11px ui-sans-serif, system-ui, sans-serif'
  const now = () => calls.style?.() ?? style
  const colorOf = (index: number) => now().series[index]?.color ?? now().axisColor
  const axis = {
    stroke: () => now().axisColor,
    font,
    grid: { stroke: () => now().gridColor, width: 1 },
    ticks: { show: false },
  }
  return {
    ...size,
    legend: { show: false },
    padding: [8, 20, 0, 0],
    cursor: {
      sync: { key: 'board', setSeries: false },
      points: { size: 7 },
      drag: { x: true, y: false, setScale: false },
      bind: { dblclick: () => null },
    },
    scales: {
      x: { time: true, range: () => calls.range() },
      y: {
        distr: style.log ? 3 : 1,
        range: (_chart, low, high) => valueRange(low, high, now()),
      },
    },
    axes: [
      {
        ...axis,
        size: 28,
        space: 70,
        ...(zone === 'utc' ? { splits: utcSplits } : {}),
        values: (_chart, splits, _axis, _space, increment) =>
          splits.map((split) => clockText(split, increment, zone)),
      },
      {
        ...axis,
        size: (_chart, values) =>
          values?.length ? Math.max(...values.map((text) => text?.length ?? 0)) * 6.8 + 16 : 40,
        values: (_chart, splits) => valueLabels(splits, style.format),
        space: 32,
        ...(style.binary ? { incrs: POWERS_OF_TWO } : {}),
      },
    ],
    series: [
      {},
      // An empty chart keeps its scales, axes and zoom with a series that is never drawn.
      ...(style.series.length ? [] : [{ show: true, points: { show: false } }]),
      ...style.series.map(({ label }, index) => ({
        label,
        stroke: () => colorOf(index),
        width: style.kind === 'bar' ? 0 : lineWidth(style.series.length),
        fill: style.kind === 'line' ? undefined : () => fillOf(style.kind, colorOf(index)),
        points:
          style.kind === 'bar' || style.connect
            ? { show: false }
            : {
                show: true,
                size: 5,
                fill: () => colorOf(index),
                filter: (chart: uPlot, series: number) => lonePoints(chart.data[series] ?? []),
              },
        spanGaps: style.connect,
        paths: style.kind === 'bar' ? bars : undefined,
      })),
    ],
    hooks: {
      setCursor: [calls.onCursor],
      setSelect: [
        (chart) => {
          if (chart.select.width < 4) return
          const start = chart.posToVal(chart.select.left, 'x')
          const end = chart.posToVal(chart.select.left + chart.select.width, 'x')
          chart.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false)
          calls.onZoom(Math.round(start * 1000), Math.round(end * 1000))
        },
      ],
      drawClear: [(chart) => drawAreas(chart, now())],
      draw: [
        (chart) => drawThresholds(chart, now()),
        (chart) => drawMarks(chart, now().marks ?? []),
      ],
    },
  }
}

const POWERS_OF_TWO = Array.from({ length: 70 }, (_, power) => 2 ** (power - 10))

/** Labels of the value axis: with as many decimals as it takes for none to stand twice. */
export function valueLabels(
  splits: (number | null)[],
  format: (value: number, decimals?: number) => string,
): (string | null)[] {
  const labels = (decimals?: number) =>
    splits.map((split) => (split === null ? null : format(split, decimals)))
  const differ = (texts: (string | null)[]) => {
    const shown = texts.filter((text) => text !== null)
    return new Set(shown).size === shown.length
  }
  const usual = labels()
  for (let decimals = 1, texts = usual; decimals <= 12; decimals++) {
    if (differ(texts)) return texts
    texts = labels(decimals)
  }
  return usual
}

const DAY = 86_400

/**
 * Grid lines of a UTC axis. uPlot places them by local time, which jumps where the browser's zone
 * changes its clock.
 */
export function utcSplits(
  _chart: unknown,
  _axis: number,
  low: number,
  high: number,
  increment: number,
): number[] {
  const splits: number[] = []
  if (increment >= 28 * DAY) {
    const months = Math.max(1, Math.round(increment / (30 * DAY)))
    const first = new Date(low * 1000)
    for (let month = Math.floor(first.getUTCMonth() / months) * months; ; month += months) {
      const split = Date.UTC(first.getUTCFullYear(), month) / 1000
      if (split > high) return splits
      if (split >= low) splits.push(split)
    }
  }
  for (let split = Math.ceil(low / increment) * increment; split <= high; split += increment) {
    splits.push(split)
  }
  return splits
}

/** A time label on the axis, as precise as the distance between grid lines. */
export function clockText(seconds: number, increment: number, zone: Zone = 'browser'): string {
  const time = new Date(seconds * 1000)
  const utc = zone === 'utc'
  const day = () =>
    time.toLocaleDateString(undefined, {
      month: 'short',
      day: 'numeric',
      ...(utc ? { timeZone: 'UTC' } : {}),
    })
  if (increment >= DAY) return day()
  const two = (part: number) => String(part).padStart(2, '0')
  const clock = utc
    ? time.toISOString().slice(11, 16)
    : `${two(time.getHours())}:${two(time.getMinutes())}`
  if (clock === '00:00' && increment >= 3600) return day()
  return increment < 60 ? `${clock}:${two(time.getUTCSeconds())}` : clock
}

/** Values that differ by less, of their size, are one value with the noise of rounding. */
const NOISE = 1e-9
/** The largest end of an axis: the distance between two of them is still a number. */
const LARGEST = 2 ** 1022
/** The least height of an axis, of its value: below it the ticks' sums no longer change. */
const LEAST_RATIO = 1e-12
/** The least height of an axis at all, above the smallest distance of ticks. */
const LEAST_SPAN = 1e-28
/** Beyond these powers of ten a logarithmic axis has no ticks. */
const LOG_LOW = 1e-9
const LOG_HIGH = 1e30

const bounded = (value: number | null | undefined, otherwise: number) =>
  value === null || value === undefined || Number.isNaN(value)
    ? otherwise
    : Math.min(LARGEST, Math.max(-LARGEST, value))

/**
 * The value axis: never flat, with room above and below, from zero when that costs little. Its
 * height is large enough for ticks to differ, whatever the values are: else drawing never ends.
 */
export function valueRange(
  low: number | null,
  high: number | null,
  style: Pick<ChartStyle, 'min' | 'max' | 'log' | 'kind'>,
): [number, number] {
  if (style.log) return logRange(style.min ?? low, style.max ?? high)
  const most = bounded(high, 1)
  const lowest = bounded(low, 0)
  const flat = most - lowest <= NOISE * Math.max(Math.abs(most), Math.abs(lowest))
  const least = flat ? most : lowest
  const span = most - least || Math.abs(most) || 1
  const fromZero = style.kind !== 'line' || (least >= 0 && least <= span * 1.5)
  const bottom = bounded(style.min, fromZero ? Math.min(0, least) : least - span * 0.1)
  const top = bounded(style.max, most + span * 0.1)
  if (top <= bottom && bottom !== most) return apart(bottom, bottom + 1)
  return apart(bottom, top)
}

/** The two ends, moved apart where they are too close for ticks. */
function apart(bottom: number, top: number): [number, number] {
  const low = bounded(bottom, 0)
  const high = bounded(top, 1)
  const least = Math.max(LEAST_SPAN, LEAST_RATIO * Math.max(Math.abs(low), Math.abs(high)))
  if (high - low >= least) return [low, high]
  const middle = low / 2 + high / 2
  return [middle - least, middle + least]
}

function logRange(low: number | null, high: number | null): [number, number] {
  const within = (value: number) => Math.min(LOG_HIGH, Math.max(LOG_LOW, value))
  const bottom = within(bounded(low, 0.1))
  const top = within(bounded(high, 1))
  // Less than a tenth of a decade has no tick.
  return top / bottom > 1.25 ? [bottom, top] : [bottom / 2, top * 2]
}

function fillOf(kind: ChartStyle['kind'], color: string): string {
  return kind === 'bar' ? color : `color-mix(in srgb, ${color} 22%, transparent)`
}

/** Tints the areas between thresholds, behind everything else. */
function drawAreas(chart: uPlot, style: ChartStyle) {
  if (style.thresholdStyle === 'line') return
  const { ctx, bbox } = chart
  const rising = [...style.thresholds].sort((a, b) => a.value - b.value)
  const within = (y: number) => Math.min(bbox.top + bbox.height, Math.max(bbox.top, y))
  ctx.save()
  ctx.globalAlpha = 0.1
  rising.forEach(({ value, color }, index) => {
    const above = rising[index + 1]
    const low = within(chart.valToPos(value, 'y', true))
    const high = above ? within(chart.valToPos(above.value, 'y', true)) : bbox.top
    ctx.fillStyle = color
    ctx.fillRect(bbox.left, high, bbox.width, low - high)
  })
  ctx.restore()
}

function drawThresholds(chart: uPlot, style: ChartStyle) {
  if (style.thresholdStyle === 'area') return
  const { ctx, bbox } = chart
  for (const { value, color } of style.thresholds) {
    const y = chart.valToPos(value, 'y', true)
    // On the lower edge it adds nothing to the axis: the lowest colour starts there.
    if (!(y >= bbox.top && y < bbox.top + bbox.height - 1)) continue
    ctx.save()
    ctx.strokeStyle = color
    ctx.setLineDash([6, 4])
    ctx.beginPath()
    ctx.moveTo(bbox.left, y)
    ctx.lineTo(bbox.left + bbox.width, y)
    ctx.stroke()
    ctx.restore()
  }
}

function drawMarks(chart: uPlot, marks: { time: number; color: string }[]) {
  const { ctx, bbox } = chart
  for (const { time, color } of marks) {
    const x = chart.valToPos(time / 1000, 'x', true)
    if (!(x >= bbox.left && x <= bbox.left + bbox.width)) continue
    ctx.save()
    ctx.strokeStyle = color
    ctx.fillStyle = color
    ctx.globalAlpha = 0.7
    ctx.beginPath()
    ctx.moveTo(x, bbox.top)
    ctx.lineTo(x, bbox.top + bbox.height)
    ctx.stroke()
    ctx.globalAlpha = 1
    ctx.fillRect(x - 3, bbox.top, 6, 6)
    ctx.restore()
  }
}
