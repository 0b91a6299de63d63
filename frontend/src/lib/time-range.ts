/** A range as it stands in the URL: `now-1h` … `now`, or milliseconds since 1970. */
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
] as const

/** Milliseconds in an interval such as `10s`, `5m`; undefined when it is none. */
export function intervalMs(text: string): number | undefined {
  const parts = [...text.matchAll(/(\d+)(s|m|h|d|w)/g)]
  if (!parts.length || parts.map((part) => part[0]).join('') !== text) return undefined
  return parts.reduce((sum, [, count, unit]) => sum + Number(count) * (UNIT_MS[unit ?? ''] ?? 0), 0)
}

/** One end of a range in milliseconds; undefined when it can't be read. */
export function resolveEnd(text: string, now: number): number | undefined {
  if (text === 'now') return now
  const relative = /^now-(.+)$/.exec(text)
  if (relative) {
    const ago = intervalMs(relative[1] ?? '')
    return ago === undefined ? undefined : now - ago
  }
  if (/^\d{10,14}$/.test(text)) return Number(text)
  const parsed = Date.parse(text)
  return Number.isNaN(parsed) ? undefined : parsed
}

/** A range in milliseconds; a range that can't be read, or is empty, becomes the last hour. */
export function resolveRange(range: TimeRange, now: number): { start: number; end: number } {
  const start = resolveEnd(range.from, now)
  const end = resolveEnd(range.to, now)
  if (start === undefined || end === undefined || start >= end) {
    return { start: now - 3_600_000, end: now }
  }
  return { start, end }
}

export const isLive = (range: TimeRange) => range.to === 'now'

/** How a range is called on its button. */
export function describeRange(range: TimeRange): string {
  if (isLive(range)) {
    const ago = range.from.replace(/^now-/, '')
    return QUICK_RANGES.find(([value]) => value === ago)?.[1] ?? `Last ${ago}`
  }
  const { start, end } = resolveRange(range, Date.now())
  const format = new Intl.DateTimeFormat(undefined, { dateStyle: 'short', timeStyle: 'short' })
  return `${format.format(start)} – ${format.format(end)}`
}
