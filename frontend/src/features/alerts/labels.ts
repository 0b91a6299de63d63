import type {
  AlertCondition,
  AlertRule,
  AlertSeverity,
  AlertStatus,
} from '@/api/generated/types.gen'
import { intervalMs } from '@/lib/time-range'

export const POLL = 30_000

export const CONDITIONS: { value: AlertCondition; text: string; symbol: string }[] = [
  { value: 'gt', text: 'is above', symbol: '>' },
  { value: 'gte', text: 'is at or above', symbol: '≥' },
  { value: 'lt', text: 'is below', symbol: '<' },
  { value: 'lte', text: 'is at or below', symbol: '≤' },
  { value: 'eq', text: 'equals', symbol: '=' },
  { value: 'ne', text: 'differs from', symbol: '≠' },
  { value: 'returned', text: 'for each series returned', symbol: '' },
]

export const SEVERITIES: { value: AlertSeverity; text: string }[] = [
  { value: 'info', text: 'Info' },
  { value: 'warning', text: 'Warning' },
  { value: 'critical', text: 'Critical' },
]

/** How long a silence lasts. */
export const SILENCE_DURATIONS = [
  { hours: 1, text: '1 hour' },
  { hours: 4, text: '4 hours' },
  { hours: 24, text: '1 day' },
  { hours: 168, text: '1 week' },
]

/** The label of each state. */
export const STATUS_LABELS: Record<AlertStatus, string> = {
  firing: 'Firing',
  pending: 'Pending',
  resolved: 'Resolved',
  inactive: 'OK',
}

export function describeRule(
  rule: Pick<AlertRule, 'reducer' | 'duration'> & { threshold?: number | null } & {
    condition: AlertCondition
  },
): string {
  const symbol = CONDITIONS.find(({ value }) => value === rule.condition)?.symbol ?? ''
  const held = intervalMs(rule.duration) ? ` for ${rule.duration}` : ''
  if (rule.threshold == null) return `each series returned${held}`
  return `${rule.reducer} ${symbol} ${formatNumber(rule.threshold)}${held}`
}

export const formatNumber = (value: number) =>
  value.toLocaleString('en-US', { maximumSignificantDigits: 6 })

export const formatAlertValue = (value: number | null | undefined) =>
  value === null || value === undefined ? 'no data' : formatNumber(value)

export function formatTags(tags: Record<string, unknown>): string {
  const parts = Object.entries(tags).map(([key, value]) => `${key}=${String(value)}`)
  return parts.sort().join(', ')
}

/** Labels as `readLabels` reads them. A value that would not be read as it is, is quoted. */
export const writeLabels = (labels: Record<string, unknown>) =>
  Object.entries(labels)
    .map(([key, value]) => [key, String(value)] as const)
    .map(
      ([key, value]) => `${key}=${/^["\s]|\s$|\n|^$/.test(value) ? JSON.stringify(value) : value}`,
    )
    .sort()
    .join('\n')

function readValue(text: string): string {
  if (!/^".*"$/.test(text)) return text
  try {
    return String(JSON.parse(text))
  } catch {
    return text
  }
}

/** `key=value`, one per line, as an object; `error` names the first line in another form. */
export function readLabels(text: string): { labels: Record<string, string>; error?: string } {
  const labels: Record<string, string> = {}
  for (const line of text.split('\n').map((part) => part.trim())) {
    if (!line) continue
    const [, key, value] = /^([a-zA-Z_][a-zA-Z0-9_.]*)\s*=\s*(.+)$/.exec(line) ?? []
    if (!key || !value) return { labels, error: `“${line}” is not in the form key=value` }
    labels[key] = readValue(value)
  }
  return { labels }
}

/** A duration in the largest unit that suits it: `45 s`, `12 min`, `3 h`. */
export function formatDuration(milliseconds: number): string {
  const seconds = Math.max(0, Math.round(milliseconds / 1000))
  if (seconds < 120) return `${seconds} s`
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`
  if (seconds < 172_800) return `${Math.round(seconds / 3600)} h`
  return `${Math.round(seconds / 86_400)} d`
}
