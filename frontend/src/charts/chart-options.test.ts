import { expect, test } from 'vitest'
import { formatValue } from '@/lib/units'
import {
  chartOptions,
  clockText,
  logSplits,
  utcSplits,
  valueLabels,
  valueRange,
} from './chart-options'

const style = {
  kind: 'line' as const,
  log: false,
  connect: false,
  binary: false,
  series: [{ label: 'a', color: '#123456' }],
  thresholds: [],
  thresholdStyle: 'line' as const,
  axisColor: '#000000',
  gridColor: '#000000',
  format: String,
}
const calls = { range: (): [number, number] => [1, 2], onCursor: () => {}, onZoom: () => {} }

test('the value axis is never flat and starts at zero when that costs little', () => {
  expect(valueRange(5, 5, style)).toEqual([0, 5.5])
  expect(valueRange(null, null, style)).toEqual([0, 1.1])
  expect(valueRange(1000, 1010, style)[0]).toBe(999)
  expect(valueRange(10, 90, { ...style, min: 0, max: 100 })).toEqual([0, 100])
})

test('a line has no fill, an area has', () => {
  const size = { width: 100, height: 100 }
  expect(chartOptions(style, calls, size, undefined).series[1]?.fill).toBeUndefined()
  const area = chartOptions({ ...style, kind: 'area' }, calls, size, undefined).series[1]?.fill
  expect(typeof area === 'function' ? area({} as never, 1) : area).toContain('#123456')
})

test('time labels are as precise as the grid', () => {
  const noon = new Date(2026, 0, 31, 12, 5, 10).getTime() / 1000
  expect(clockText(noon, 10)).toBe('12:05:10')
  expect(clockText(noon, 300)).toBe('12:05')
  expect(clockText(noon, 86_400)).toMatch(/31/)
})

test('colours follow the theme without a new chart', () => {
  const dark = { ...style, series: [{ label: 'a', color: '#abcdef' }] }
  const size = { width: 100, height: 100 }
  const stroke = chartOptions(style, { ...calls, style: () => dark }, size, undefined).series[1]
    ?.stroke
  expect(typeof stroke === 'function' ? stroke({} as never, 1) : stroke).toBe('#abcdef')
})

test('the value axis follows the style as it is now, as the chart of a rule needs', () => {
  let now = { ...style, min: 0, max: 10 }
  const size = { width: 100, height: 100 }
  const { scales } = chartOptions(now, { ...calls, style: () => now }, size, undefined)
  const range = scales?.y?.range as (chart: unknown, low: number, high: number) => [number, number]
  expect(range(null, 1, 9)).toEqual([0, 10])
  now = { ...style, min: 0, max: 500 }
  expect(range(null, 1, 450)).toEqual([0, 500])
})

test('a constant with the noise of rounding is a flat line', () => {
  expect(valueRange(0.30000000000000004, 0.3, style)).toEqual(valueRange(0.3, 0.3, style))
  const [low, high] = valueRange(1e9, 1e9 + 1e-6, style)
  expect(high - low).toBeGreaterThan(1e8)
})

test('a logarithmic axis honours its limits', () => {
  expect(valueRange(0.5, 50, { ...style, log: true, min: 0.1, max: 1000 })).toEqual([0.1, 1000])
})

test('labels of the value axis never stand twice', () => {
  const gib = 1024 ** 3
  const format = (value: number, decimals?: number) => formatValue(value, 'bytes', decimals)
  const labels = valueLabels([412 * gib, 412.1 * gib, 412.2 * gib, null], format)
  expect(labels).toEqual(['412 GiB', '412.1 GiB', '412.2 GiB', null])
  expect(
    valueLabels([0, 2e-6, 4e-6], (value, decimals) => formatValue(value, null, decimals)),
  ).toEqual(['0', '2e-6', '4e-6'])
})

test.each(['2026-10-25', '2026-03-29'])(
  'a UTC axis is even on %s, when Berlin changes its clock',
  (day) => {
    const start = Date.parse(`${day}T00:00:00Z`) / 1000
    const hours = utcSplits(null, 0, start - 3600, start + 6 * 3600, 3600)
    expect(hours.map((split) => clockText(split, 3600, 'utc')).slice(2)).toEqual([
      ...['01:00', '02:00', '03:00', '04:00', '05:00', '06:00'],
    ])
    expect(new Set(hours.slice(1).map((split, index) => split - (hours[index] ?? 0)))).toEqual(
      new Set([3600]),
    )
  },
)

test('a UTC axis of months begins each month', () => {
  const at = (text: string) => Date.parse(text) / 1000
  expect(utcSplits(null, 0, at('2026-01-15'), at('2026-04-10'), 30 * 86_400)).toEqual(
    ['2026-02-01', '2026-03-01', '2026-04-01'].map(at),
  )
})
test('a logarithmic axis honours values below a billionth', () => {
  const log = { ...style, log: true }
  const [bottom, top] = valueRange(2e-12, 5e-11, log)
  expect(bottom).toBe(2e-12)
  expect(top).toBe(5e-11)
  expect(valueRange(1e-15, 1, log)).toEqual([1e-15, 1])
  expect(valueRange(0.5, 50, { ...log, min: 1e-12 })).toEqual([1e-12, 50])
})

test('a logarithmic axis has some ticks at any range, and comes to an end', () => {
  expect(logSplits(2e-12, 5e-11)).toEqual([
    2e-12, 3e-12, 4e-12, 5e-12, 6e-12, 7e-12, 8e-12, 9e-12, 1e-11, 2e-11, 3e-11, 4e-11, 5e-11,
  ])
  expect(logSplits(1e-15, 1)).toEqual([1e-14, 1e-12, 1e-10, 1e-8, 1e-6, 0.0001, 0.01, 1])
  // Here the chart library's own never ended.
  for (const low of [9.99e-9, 9.99e-13, 1e-30, 3e-150])
    for (const high of [low * 1.3, low * 2, low * 20, low * 1e7, 1e100]) {
      const splits = logSplits(low, high)
      expect(splits.length).toBeGreaterThan(1)
      expect(splits.length).toBeLessThan(20)
      expect(splits.every((split) => split >= low && split <= high)).toBe(true)
      expect(new Set(splits).size).toBe(splits.length)
    }
})
