import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { type ChartStyle, chartOptions, valueRange } from './chart-options'

const style: ChartStyle = {
  kind: 'line',
  log: false,
  connect: false,
  binary: false,
  series: [{ label: 'a', color: '#123456' }],
  thresholds: [{ value: 1e308, color: '#000000' }],
  thresholdStyle: 'both',
  axisColor: '#000000',
  gridColor: '#000000',
  format: String,
}

const VALUES = [
  ...[0, 1, 1.0000000000000002, 0.1 + 0.2, 0.3, 1e-9, 100, 1e9, 1e15, 2 ** 53, 1e17],
  ...[5e-324, 2.2250738585072014e-308, 1e-300, 1e-30, 1e30, 1e32, 1e300, 1e308],
  ...[Number.MAX_VALUE, Number.POSITIVE_INFINITY],
].flatMap((value) => [value, -value])
const PAIRS = VALUES.flatMap((low) =>
  VALUES.filter((high) => high >= low).map((high) => [low, high]),
)
/** A chart is slow to make: one pair in 29, and the two neighbours of one. */
const SOME = [[1, 1.0000000000000002], ...PAIRS.filter((_, index) => index % 29 === 0)]
const LIMITS = [undefined, 0, 1, 1.0000000000000002, -1e308, 1e308, 5e-324]

beforeAll(() => {
  const noContext = new Proxy({}, { get: () => () => ({ width: 10 }), set: () => true })
  vi.stubGlobal('matchMedia', () => ({ matches: false, addEventListener: () => {} }))
  vi.stubGlobal(
    'Path2D',
    class {
      moveTo() {}
      lineTo() {}
      rect() {}
    },
  )
  vi.spyOn(HTMLCanvasElement.prototype, 'getContext').mockReturnValue(noContext as never)
})
afterAll(() => void vi.unstubAllGlobals())

test('the ends of the value axis are always far enough apart for ticks', () => {
  const wrong: string[] = []
  for (const [low = 0, high = 0] of PAIRS)
    for (const min of LIMITS)
      for (const max of LIMITS)
        for (const kind of ['line', 'area'] as const) {
          const [bottom, top] = valueRange(low, high, {
            ...style,
            kind,
            min: min ?? null,
            max: max ?? null,
          })
          const span = top - bottom
          const size = Math.max(Math.abs(bottom), Math.abs(top))
          const fine = Number.isFinite(span) && span >= 1e-28 && span / size >= 1e-13
          if (!fine) wrong.push(`${low} ${high} ${min} ${max}: ${bottom} ${top}`)
        }
  expect(wrong).toEqual([])
}, 60_000)

test('one point and only gaps have an axis too', () => {
  for (const log of [false, true])
    for (const [low, high] of [
      [null, null],
      [Number.NaN, Number.NaN],
      [7, 7],
    ] as const) {
      const [bottom, top] = valueRange(low, high, { ...style, log })
      expect(top).toBeGreaterThan(bottom)
    }
})

test('the chart library draws every range of values and comes to an end', async () => {
  const { default: UPlot } = await import('uplot')
  for (const kind of ['line', 'bar'] as const)
    for (const log of [false, true])
      for (const binary of [false, true])
        for (const [low, high] of SOME) {
          const given = { ...style, kind, log, binary }
          const element = document.createElement('div')
          const plot = new UPlot(
            chartOptions(
              given,
              { range: () => [0, 3600], onCursor: () => {}, onZoom: () => {} },
              { width: 400, height: 200 },
              undefined,
            ),
            [
              [0, 60, 120],
              [low ?? null, high ?? null, null],
            ],
            element,
          )
          await Promise.resolve()
          plot.destroy()
        }
}, 60_000)

test('limits that change with the data are those of the chart too', async () => {
  const { default: UPlot } = await import('uplot')
  let current: ChartStyle = { ...style, min: 0, max: 1 }
  const hooks = {
    style: () => current,
    range: (): [number, number] => [0, 3600],
    onCursor: () => {},
    onZoom: () => {},
  }
  const element = document.createElement('div')
  const options = chartOptions(current, hooks, { width: 400, height: 200 }, undefined)
  const plot = new UPlot(
    options,
    [
      [0, 60],
      [0.2, 0.9],
    ],
    element,
  )
  await Promise.resolve()
  expect([plot.scales.y?.min, plot.scales.y?.max]).toEqual([0, 1])
  // As a rule's chart goes on: the series are the same, and the values leave the first range.
  current = { ...style, min: 40, max: 60 }
  plot.setData([
    [0, 60],
    [45, 55],
  ])
  await Promise.resolve()
  expect([plot.scales.y?.min, plot.scales.y?.max]).toEqual([40, 60])
  plot.destroy()
})
