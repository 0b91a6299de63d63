import type uPlot from 'uplot'
import type { Zone } from '@/lib/zone'
import { lonePoints } from './chart-data'

/** How a series is drawn, where it is not as the chart draws all of them. */
export type SeriesLook = {
  label: string
  color: string
  format?: (value: number) => string
  kind?: 'line' | 'area' | 'bar' | 'points' | undefined
  right?: boolean
  width?: number | undefined
  /** Opacity of the area below it, in percent. */
  fill?: number | undefined
  gradient?: boolean | undefined
  dash?: readonly number[] | undefined
  interpolation?: 'linear' | 'smooth' | 'stepBefore' | 'stepAfter' | undefined
  points?: 'auto' | 'always' | 'never' | undefined
}

/** What draws lines of other shapes: of uPlot's own module. */
export type Paths = {
  bars?: uPlot.Series.PathBuilder | undefined
  smooth?: uPlot.Series.PathBuilder | undefined
  stepBefore?: uPlot.Series.PathBuilder | undefined
  stepAfter?: uPlot.Series.PathBuilder | undefined
  points?: uPlot.Series.PathBuilder | undefined
}

export type ChartStyle = {
  kind: 'line' | 'area' | 'bar'
  log: boolean
  connect: boolean
  min?: number | null
  max?: number | null
  /** The axis begins at least here, and ends at least there. */
  softMin?: number | null
  softMax?: number | null
  axisLabel?: string | null
  /** Whether the value axis is shown. */
  leftAxis?: boolean
  /** How values of the right axis are written, where a series is drawn on it. */
  rightFormat?: ((value: number, decimals?: number) => string) | undefined
  tooltip?: 'single' | 'all' | 'hidden'
  tooltipSort?: 'none' | 'asc' | 'desc'
  series: SeriesLook[]
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

/** The width that the labels of an axis have needed: the plot stays in its place when a refresh
 * brings shorter ones, or `9` becomes `10`. */
function widest(): (chart: uPlot, values: string[]) => number {
  let characters = 3
  return (_chart, values) => {
    characters = Math.max(characters, ...(values ?? []).map((text) => text?.length ?? 0))
    return characters * 6.8 + 16
  }
}

/** uPlot's options for a style; pure but for the paths that uPlot's own module builds. */
export function chartOptions(
  style: ChartStyle,
  calls: ChartCallbacks,
  size: { width: number; height: number },
  paths: Paths = {},
  zone: Zone = 'browser',
): uPlot.Options {
  const onRight = style.series.some(({ right }) => right)
  const onLeft = !style.series.length || style.series.some(({ right }) => !right)
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
      ...(onRight
        ? {
            right: {
              distr: style.log ? (3 as const) : (1 as const),
              range: (_chart: uPlot, low: number | null, high: number | null) =>
                valueRange(low, high, onLeft ? { ...now(), min: null, max: null } : now()),
            },
          }
        : {}),
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
        size: widest(),
        values: (_chart, splits) => valueLabels(splits, style.format),
        space: 32,
        show: onLeft && style.leftAxis !== false,
        ...(style.axisLabel
          ? { label: style.axisLabel, labelFont: font, labelSize: 16, labelGap: 0 }
          : {}),
        ...(style.binary ? { incrs: POWERS_OF_TWO } : {}),
        ...(style.log ? logAxis : {}),
      },
      ...(onRight
        ? [
            {
              ...axis,
              grid: { show: !onLeft, stroke: () => now().gridColor, width: 1 },
              scale: 'right',
              side: 1 as const,
              size: widest(),
              values: (_chart: uPlot, splits: number[]) =>
                valueLabels(splits, style.rightFormat ?? style.format),
              space: 32,
              ...(style.log ? logAxis : {}),
            },
          ]
        : []),
    ],
    series: [
      {},
      // An empty chart keeps its scales, axes and zoom with a series that is never drawn.
      ...(style.series.length ? [] : [{ show: true, points: { show: false } }]),
      ...style.series.map((look, index) => seriesOf(look, index, style, paths, colorOf)),
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

const PATHS = { smooth: 'smooth', stepBefore: 'stepBefore', stepAfter: 'stepAfter' } as const

/** One series as uPlot takes it. */
function seriesOf(
  look: SeriesLook,
  index: number,
  style: ChartStyle,
  paths: Paths,
  colorOf: (index: number) => string,
): uPlot.Series {
  const kind = look.kind ?? style.kind
  const bar = kind === 'bar'
  const { interpolation } = look
  const shape =
    interpolation && interpolation !== 'linear' ? paths[PATHS[interpolation]] : undefined
  const dots = {
    show: true,
    size: 5,
    fill: () => colorOf(index),
    filter: (chart: uPlot, series: number) => lonePoints(chart.data[series] ?? []),
  }
  const all = { show: true, size: 5, fill: () => colorOf(index) }
  return {
    label: look.label,
    stroke: () => colorOf(index),
    width: bar ? 0 : (look.width ?? lineWidth(style.series.length)),
    ...(look.right ? { scale: 'right' } : {}),
    ...(look.dash && !bar ? { dash: [...look.dash] } : {}),
    fill:
      kind === 'points' || (kind === 'line' && !look.fill)
        ? undefined
        : (chart: uPlot) => fillOf(kind, colorOf(index), look, chart),
    points:
      look.points === 'always' || kind === 'points'
        ? all
        : bar || style.connect || look.points === 'never'
          ? { show: false }
          : dots,
    spanGaps: style.connect,
    paths: bar ? paths.bars : kind === 'points' ? paths.points : shape,
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
/** The ends of a logarithmic axis: their ratio is still a number. */
const LOG_LOW = 1e-150
const LOG_HIGH = 1e150
/** About so many ticks fit on it. */
const LOG_TICKS = 8

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
  style: Pick<ChartStyle, 'min' | 'max' | 'log' | 'kind' | 'softMin' | 'softMax'>,
): [number, number] {
  if (style.log) return logRange(style.min ?? low, style.max ?? high)
  const most = Math.max(bounded(high, 1), bounded(style.softMax, Number.NEGATIVE_INFINITY))
  const lowest = Math.min(bounded(low, 0), bounded(style.softMin, Number.POSITIVE_INFINITY))
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

/**
 * The ticks of a logarithmic axis. The chart library's own add up tiny numbers, and never come to
 * an end at some ranges, such as 9.99e-9 to 1.3e-8.
 */
export function logSplits(low: number, high: number): number[] {
  const decades = Math.log10(high / low)
  const digits = decades <= 1.5 ? [1, 2, 3, 4, 5, 6, 7, 8, 9] : decades <= 4 ? [1, 2, 5] : [1]
  const every = Math.max(1, Math.ceil(decades / LOG_TICKS))
  const splits: number[] = []
  const first = Math.floor(Math.floor(Math.log10(low)) / every) * every
  for (let power = first; power <= Math.ceil(Math.log10(high)); power += every)
    for (const digit of digits) {
      const split = Number(`${digit}e${power}`)
      if (split >= low && split <= high) splits.push(split)
    }
  if (splits.length > 1) return splits
  // Within one digit: evenly, in round steps.
  const rough = (high - low) / 4
  const power = Math.floor(Math.log10(rough))
  const digit = [1, 2, 5].find((each) => each >= rough / 10 ** power) ?? 10
  const step = Number(`${digit}e${power}`)
  const count = Math.ceil(low / step)
  return Array.from({ length: 10 }, (_, index) => (count + index) * step).filter(
    (split) => split <= high,
  )
}

/** What an axis has beside the others when it is logarithmic. */
const logAxis = {
  splits: (_chart: uPlot, _axis: number, low: number, high: number) => logSplits(low, high),
  filter: (_chart: uPlot, splits: number[]) => splits,
}

function logRange(low: number | null, high: number | null): [number, number] {
  const within = (value: number) => Math.min(LOG_HIGH, Math.max(LOG_LOW, value))
  const bottom = within(bounded(low, 0.1))
  const top = within(bounded(high, 1))
  // Less than a tenth of a decade has no tick.
  return top / bottom > 1.25 ? [bottom, top] : [bottom / 2, top * 2]
}

function fillOf(
  kind: ChartStyle['kind'] | 'points',
  color: string,
  { fill, gradient }: Pick<SeriesLook, 'fill' | 'gradient'> = {},
  chart?: uPlot,
): string | CanvasGradient {
  // A bar of little opacity would not be seen.
  if (kind === 'bar') return color
  const opacity = fill ?? 22
  const tint = (percent: number) => `color-mix(in srgb, ${color} ${percent}%, transparent)`
  if (!gradient || !chart?.ctx || !chart.bbox?.height) return tint(opacity)
  const { top, height } = chart.bbox
  const shade = chart.ctx.createLinearGradient(0, top, 0, top + height)
  shade.addColorStop(0, tint(opacity))
  shade.addColorStop(1, tint(0))
  return shade
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
