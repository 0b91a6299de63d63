import { expect, test } from 'vitest'
import { chartOptions, clockText, valueRange } from './chart-options'

const style = {
  kind: 'line' as const,
  stacked: false,
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
