import { expect, test } from 'vitest'
import {
  describeRange,
  intervalMs,
  isLive,
  readRange,
  refreshEvery,
  resolveRange,
  shiftRange,
  widenRange,
  writeTime,
} from './time-range'

const NOW = Date.UTC(2026, 0, 31, 12)
const HOUR = 3_600_000
const utc = (...fields: Parameters<typeof Date.UTC>) => Date.UTC(...fields)
const read = (from: string, to: string, now = NOW) => {
  const range = readRange({ from, to }, now, 'utc')
  return range && [range.start, range.end]
}

test('intervals are parsed completely or not at all', () => {
  expect(intervalMs('1h30m')).toBe(5_400_000)
  expect(intervalMs('10s')).toBe(10_000)
  expect(intervalMs('10')).toBeUndefined()
  expect(intervalMs('10s!')).toBeUndefined()
})

test('relative, absolute and ISO ends are resolved', () => {
  expect(resolveRange({ from: 'now-1h', to: 'now' }, NOW)).toEqual({ start: NOW - HOUR, end: NOW })
  expect(resolveRange({ from: String(NOW - 1000), to: String(NOW) }, NOW).start).toBe(NOW - 1000)
  expect(resolveRange({ from: '2026-01-31T11:00:00Z', to: 'now' }, NOW).start).toBe(NOW - HOUR)
})

test('an invalid range becomes the last hour', () => {
  for (const range of [
    { from: 'yesterday', to: 'now' },
    { from: 'now', to: 'now-1h' },
    { from: 'now-', to: 'now' },
    { from: 'now-1000000y', to: 'now' },
    { from: 'now-3000y', to: 'now' },
    { from: 'now-1h', to: '99999999999999999' },
    { from: '2026-13-01', to: 'now' },
  ]) {
    expect(resolveRange(range, NOW)).toEqual({ start: NOW - HOUR, end: NOW })
  }
})

test.each([
  ['now/d', 'now', utc(2026, 0, 31), NOW],
  ['now/d', 'now/d', utc(2026, 0, 31), utc(2026, 1, 1)],
  ['now-1d/d', 'now-1d/d', utc(2026, 0, 30), utc(2026, 0, 31)],
  // The 31st of January 2026 is a Saturday; weeks begin on Monday.
  ['now/w', 'now/w', utc(2026, 0, 26), utc(2026, 1, 2)],
  ['now-1w/w', 'now-1w/w', utc(2026, 0, 19), utc(2026, 0, 26)],
  ['now-1M/M', 'now-1M/M', utc(2025, 11, 1), utc(2026, 0, 1)],
  ['now/y', 'now', utc(2026, 0, 1), NOW],
  ['now-1d12h', 'now', utc(2026, 0, 30), NOW],
  ['2026-01-30', '2026-01-30', utc(2026, 0, 30), utc(2026, 0, 31)],
  ['2026-01-30 06:00', '2026-01-30 06:00:10', utc(2026, 0, 30, 6), utc(2026, 0, 30, 6, 0, 10)],
])('%s … %s goes by the calendar', (from, to, start, end) => {
  expect(read(from, to)).toEqual([start, end])
})

test('a month before the end of a longer one is the end of the shorter', () => {
  expect(read('now-1M', 'now', utc(2026, 2, 31, 12))?.[0]).toBe(utc(2026, 1, 28, 12))
})

test('written times are parsed again, in either time zone', () => {
  const time = utc(2026, 5, 1, 3, 4, 5)
  expect(writeTime(time, 'utc')).toBe('2026-06-01 03:04:05')
  for (const zone of ['utc', 'browser'] as const) {
    const written = writeTime(time, zone)
    expect(readRange({ from: written, to: String(time + 1) }, NOW, zone)?.start).toBe(time)
  }
})

test('ranges have names', () => {
  expect(describeRange({ from: 'now-1h', to: 'now' })).toBe('Last hour')
  expect(describeRange({ from: 'now-8h', to: 'now' })).toBe('Last 8h')
  expect(describeRange({ from: 'now-1d/d', to: 'now-1d/d' })).toBe('Yesterday')
  const day = { from: String(utc(2026, 0, 30, 6)), to: String(utc(2026, 0, 30, 7)) }
  expect(describeRange(day, 'utc')).toMatch(/2026.*–/)
  expect(describeRange(day, 'utc').match(/2026/g)).toHaveLength(1)
})

test('a range that ends now or in the current unit is live', () => {
  expect(isLive({ from: 'now-1h', to: 'now' })).toBe(true)
  expect(isLive({ from: 'now/d', to: 'now/d' })).toBe(true)
  expect(isLive({ from: 'now-1d/d', to: 'now-1d/d' })).toBe(false)
  expect(isLive({ from: '1', to: String(NOW) })).toBe(false)
})

test('a range shifts by half its width, never past now', () => {
  const live = { from: 'now-2h', to: 'now' }
  const back = shiftRange(live, -1, NOW)
  expect(back).toEqual({ from: String(NOW - 3 * HOUR), to: String(NOW - HOUR) })
  expect(shiftRange(back, 1, NOW).to).toBe(String(NOW))
  expect(shiftRange(live, 1, NOW)).toBe(live)
})

test('a range widens to twice its width, never past now', () => {
  const past = { from: String(NOW - 4 * HOUR), to: String(NOW - 2 * HOUR) }
  expect(widenRange(past, NOW)).toEqual({ from: String(NOW - 5 * HOUR), to: String(NOW - HOUR) })
  const last = widenRange({ from: 'now-1h', to: 'now' }, NOW)
  expect(last).toEqual({ from: String(NOW - 2 * HOUR), to: String(NOW) })
})

test('a range that ends a while ago moves with time too', () => {
  expect(isLive({ from: 'now-1h', to: 'now-5m' })).toBe(true)
  expect(isLive({ from: 'now/d', to: 'now/d' })).toBe(true)
  expect(isLive({ from: 'now-1d/d', to: 'now-1d/d' })).toBe(false)
  expect(isLive({ from: '1790000000000', to: '1790000100000' })).toBe(false)
})

test('a range is refreshed while it moves, and not more often than each second', () => {
  const live = { from: 'now-1h', to: 'now-5m' }
  expect(refreshEvery(live, '10s')).toBe(10_000)
  expect(refreshEvery(live, '1ms')).not.toBe(1)
  expect(refreshEvery(live, 'off')).toBeUndefined()
  expect(refreshEvery({ from: '1', to: '2' }, '10s')).toBeUndefined()
})
