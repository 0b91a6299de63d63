import { timeZoneOf, type Zone } from './zone'

/**
 * A time range as in the URL. Each end is `now`, `now-6h`, `now/d` (the start of the day as `from`,
 * its end as `to`), `now-1d/d`, milliseconds since 1970, or a date and time.
 */
export type TimeRange = { from: string; to: string }

const UNIT_MS: Record<string, number> = {
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
}

export const QUICK_RANGES = [
  ['5m', 'Last 5 minutes'],
  ['15m', 'Last 15 minutes'],
  ['1h', 'Last hour'],
  ['3h', 'Last 3 hours'],
  ['6h', 'Last 6 hours'],
  ['24h', 'Last 24 hours'],
  ['2d', 'Last 2 days'],
  ['7d', 'Last 7 days'],
  ['30d', 'Last 30 days'],
  ['90d', 'Last 90 days'],
] as const

export const CALENDAR_RANGES = [
  ['now/d', 'now', 'Today so far'],
  ['now/d', 'now/d', 'Today'],
  ['now-1d/d', 'now-1d/d', 'Yesterday'],
  ['now-7d/d', 'now-7d/d', 'This day last week'],
  ['now/w', 'now', 'This week so far'],
  ['now/w', 'now/w', 'This week'],
  ['now-1w/w', 'now-1w/w', 'Previous week'],
  ['now/M', 'now', 'This month so far'],
  ['now-1M/M', 'now-1M/M', 'Previous month'],
  ['now/y', 'now', 'This year so far'],
] as const

/** Milliseconds in an interval such as `10s`, `5m`; undefined when it is none. */
export function intervalMs(text: string): number | undefined {
  const parts = [...text.matchAll(/(\d+)(s|m|h|d|w)/g)]
  if (!parts.length || parts.map((part) => part[0]).join('') !== text) return undefined
  return parts.reduce((sum, [, count, unit]) => sum + Number(count) * (UNIT_MS[unit ?? ''] ?? 0), 0)
}

type Fields = [
  year: number,
  month: number,
  day: number,
  hour: number,
  minute: number,
  second: number,
]

function fieldsOf(time: number, zone: Zone): Fields {
  const date = new Date(time)
  return zone === 'utc'
    ? [
        date.getUTCFullYear(),
        date.getUTCMonth(),
        date.getUTCDate(),
        date.getUTCHours(),
        date.getUTCMinutes(),
        date.getUTCSeconds(),
      ]
    : [
        date.getFullYear(),
        date.getMonth(),
        date.getDate(),
        date.getHours(),
        date.getMinutes(),
        date.getSeconds(),
      ]
}

const timeOf = (fields: Fields, zone: Zone) =>
  zone === 'utc' ? Date.UTC(...fields) : new Date(...fields).getTime()

/** Days and longer units follow the calendar: a day ago is the same hour across a clock change. */
function add(time: number, count: number, unit: string, zone: Zone): number {
  const size = UNIT_MS[unit]
  if (size && unit !== 'd' && unit !== 'w') return time + count * size
  const [year, month, day, ...clock] = fieldsOf(time, zone)
  const rest = time - timeOf([year, month, day, ...clock], zone)
  if (unit === 'd') return timeOf([year, month, day + count, ...clock], zone) + rest
  if (unit === 'w') return timeOf([year, month, day + 7 * count, ...clock], zone) + rest
  const months = unit === 'y' ? 12 * count : count
  // A month before the 31st is the last day of a shorter month.
  const last = new Date(Date.UTC(year, month + months + 1, 0)).getUTCDate()
  return timeOf([year, month + months, Math.min(day, last), ...clock], zone) + rest
}

/** The start of the unit that holds a time. Weeks begin on Monday. */
function floor(time: number, unit: string, zone: Zone): number {
  const [year, month, day, hour, minute, second] = fieldsOf(time, zone)
  switch (unit) {
    case 's':
      return timeOf([year, month, day, hour, minute, second], zone)
    case 'm':
      return timeOf([year, month, day, hour, minute, 0], zone)
    case 'h':
      return timeOf([year, month, day, hour, 0, 0], zone)
    case 'w': {
      const weekday = (new Date(Date.UTC(year, month, day)).getUTCDay() + 6) % 7
      return timeOf([year, month, day - weekday, 0, 0, 0], zone)
    }
    case 'M':
      return timeOf([year, month, 1, 0, 0, 0], zone)
    case 'y':
      return timeOf([year, 0, 1, 0, 0, 0], zone)
    default:
      return timeOf([year, month, day, 0, 0, 0], zone)
  }
}

const RELATIVE = /^now(?:-((?:\d+[smhdwMy])+))?(?:\/([smhdwMy]))?$/
const WRITTEN = /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d))?)?$/

const FIRST = Date.UTC(1000, 0, 1)
const LAST = Date.UTC(9999, 11, 31)

/** One end of a range in milliseconds; undefined when it can't be read, or no date holds it. */
export function resolveEnd(
  text: string,
  now: number,
  side: 'from' | 'to' = 'from',
  zone: Zone = 'browser',
): number | undefined {
  const time = readEnd(text, now, side, zone)
  return time !== undefined && time >= FIRST && time <= LAST ? time : undefined
}

function readEnd(text: string, now: number, side: 'from' | 'to', zone: Zone): number | undefined {
  const trimmed = text.trim()
  const relative = RELATIVE.exec(trimmed)
  if (relative) {
    const [, ago, unit] = relative
    let time = now
    for (const [, count, step] of (ago ?? '').matchAll(/(\d+)([smhdwMy])/g)) {
      time = add(time, -Number(count), step ?? 's', zone)
    }
    if (!unit) return time
    const start = floor(time, unit, zone)
    return side === 'from' ? start : add(start, 1, unit, zone)
  }
  if (/^\d{10,14}$/.test(trimmed)) return Number(trimmed)
  const written = WRITTEN.exec(trimmed)
  if (written) {
    const [year = 0, month = 0, day = 0, hour, minute = 0, second = 0] = written
      .slice(1)
      .map((part) => (part === undefined ? undefined : Number(part)))
    if (month < 1 || month > 12 || day < 1 || day > 31 || (hour ?? 0) > 24 || minute > 59) {
      return undefined
    }
    // A date without a time as `to` includes the whole day.
    const whole = hour === undefined && side === 'to' ? 1 : 0
    return timeOf([year, month - 1, day + whole, hour ?? 0, minute, second], zone)
  }
  // Other formats must name their time zone: browsers disagree about the rest.
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d.*(Z|[+-]\d\d:?\d\d)$/.test(trimmed)) return undefined
  const parsed = Date.parse(trimmed)
  return Number.isNaN(parsed) ? undefined : parsed
}

/** A range in milliseconds; undefined when an end can't be read, or it is empty. */
export function readRange(
  range: TimeRange,
  now: number,
  zone: Zone = 'browser',
): { start: number; end: number } | undefined {
  const start = resolveEnd(range.from, now, 'from', zone)
  const end = resolveEnd(range.to, now, 'to', zone)
  return start === undefined || end === undefined || start >= end ? undefined : { start, end }
}

/** The same, with the last hour for a range that can't be read. */
export function resolveRange(range: TimeRange, now: number, zone: Zone = 'browser') {
  return readRange(range, now, zone) ?? { start: now - 3_600_000, end: now }
}

/** Whether the range moves with time, and so is refreshed. */
export const isLive = (range: TimeRange) =>
  /^now(?:\/[smhdwMy]|-(?:\d+[smhdwMy])+)?$/.test(range.to.trim())

/** Milliseconds: a shorter interval in a URL would only be load. */
const SHORTEST_REFRESH = 1000

/** Milliseconds between two refreshes of a range; undefined when it is not refreshed. */
export function refreshEvery(range: TimeRange, refresh: string): number | undefined {
  const every = isLive(range) ? intervalMs(refresh) : undefined
  return every ? Math.max(SHORTEST_REFRESH, every) : undefined
}

/** Shifts a range by half its width, never past now. */
export function shiftRange(
  range: TimeRange,
  direction: -1 | 1,
  now: number,
  zone: Zone = 'browser',
): TimeRange {
  const { start, end } = resolveRange(range, now, zone)
  const half = Math.round((end - start) / 2)
  const by = direction < 0 ? -half : Math.min(half, Math.max(0, now - end))
  return by === 0 ? range : { from: String(start + by), to: String(end + by) }
}

/** Doubles a range around its middle, never past now. */
export function widenRange(range: TimeRange, now: number, zone: Zone = 'browser'): TimeRange {
  const { start, end } = resolveRange(range, now, zone)
  const width = end - start
  const to = Math.max(end, Math.min(now, end + Math.round(width / 2)))
  return { from: String(to - 2 * width), to: String(to) }
}

/** A time as the range picker's inputs write and read it. */
export function writeTime(time: number, zone: Zone = 'browser'): string {
  const [year, month, ...rest] = fieldsOf(time, zone)
  const [day, hour, minute, second] = rest.map((part) => String(part).padStart(2, '0'))
  return `${year}-${String(month + 1).padStart(2, '0')}-${day} ${hour}:${minute}:${second}`
}

/** The name of a range, for its button. */
export function describeRange(range: TimeRange, zone: Zone = 'browser'): string {
  const named = CALENDAR_RANGES.find(([from, to]) => from === range.from && to === range.to)
  if (named) return named[2]
  const ago = /^now-(\w+)$/.exec(range.from)?.[1]
  if (range.to === 'now' && ago) {
    return QUICK_RANGES.find(([value]) => value === ago)?.[1] ?? `Last ${ago}`
  }
  const { start, end } = resolveRange(range, Date.now(), zone)
  const zoned = { timeZone: timeZoneOf(zone) }
  const day = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', ...zoned })
  const fine = [start, end].some((time) => time % 60_000 >= 1000)
  const clock = new Intl.DateTimeFormat(undefined, {
    timeStyle: fine ? 'medium' : 'short',
    ...zoned,
  })
  const from = `${day.format(start)}, ${clock.format(start)}`
  const same = day.format(start) === day.format(end)
  return `${from} – ${same ? '' : `${day.format(end)}, `}${clock.format(end)}`
}
