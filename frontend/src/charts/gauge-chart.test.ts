import { expect, test } from 'vitest'
import { gaugeShare } from './gauge-chart'

test('a gauge is filled from 0 to 1, whatever its value and its ends are', () => {
  expect(gaugeShare(25, 0, 100)).toBe(0.25)
  expect(gaugeShare(-5, 0, 100)).toBe(0)
  expect(gaugeShare(500, 0, 100)).toBe(1)
  expect(gaugeShare(1, 1, 1)).toBe(0)
  expect(gaugeShare(1e308, -1e308, 1e308)).toBe(0)
})
