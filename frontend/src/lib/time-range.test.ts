import { expect, test } from 'vitest'
import { describeRange, intervalMs, resolveRange } from './time-range'

const NOW = Date.UTC(2026, 0, 31, 12)

test('intervals are read whole or not at all', () => {
  expect(intervalMs('1h30m')).toBe(5_400_000)
  expect(intervalMs('10s')).toBe(10_000)
  expect(intervalMs('10')).toBeUndefined()
  expect(intervalMs('10s!')).toBeUndefined()
})

test('relative, absolute and ISO ends are resolved', () => {
  expect(resolveRange({ from: 'now-1h', to: 'now' }, NOW)).toEqual({
    start: NOW - 3_600_000,
    end: NOW,
  })
  expect(resolveRange({ from: String(NOW - 1000), to: String(NOW) }, NOW).start).toBe(NOW - 1000)
  expect(resolveRange({ from: '2026-01-31T11:00:00Z', to: 'now' }, NOW).start).toBe(NOW - 3_600_000)
})

test('nonsense becomes the last hour', () => {
  for (const range of [
    { from: 'yesterday', to: 'now' },
    { from: 'now', to: 'now-1h' },
  ]) {
    expect(resolveRange(range, NOW)).toEqual({ start: NOW - 3_600_000, end: NOW })
  }
})

test('ranges have names', () => {
  expect(describeRange({ from: 'now-1h', to: 'now' })).toBe('Last hour')
  expect(describeRange({ from: 'now-8h', to: 'now' })).toBe('Last 8h')
})
