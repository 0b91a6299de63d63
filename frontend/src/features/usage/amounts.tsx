import clsx from 'clsx'
import { timeAgo } from '@/lib/age'
import { formatValue } from '@/lib/units'

const NEAR = 0.8

export const count = (value: number) => value.toLocaleString('en-US')

export const rate = (value: number | null | undefined) =>
  value === null || value === undefined ? 'unknown' : `${formatValue(value, 'short', 1)}/s`

export function dollars(value: number): string {
  if (value > 0 && value < 0.01) return '< $0.01'
  return value.toLocaleString('en-US', { style: 'currency', currency: 'USD' })
}

/** How near a number is to its limit, as a bar and in words. */
export function LimitBar({ value, limit, of }: { value: number; limit: number; of: string }) {
  const part = limit ? value / limit : 0
  const near = part >= NEAR
  const percent = part > 0 && part < 0.01 ? '< 1' : Math.round(part * 100).toString()
  return (
    <div className="min-w-24" title={`${count(value)} of ${count(limit)} ${of}`}>
      <div className="h-1.5 overflow-hidden rounded-full bg-raised" aria-hidden="true">
        <div
          className={clsx('h-full rounded-full', near ? 'bg-danger' : 'bg-accent')}
          style={{ width: `${Math.min(100, part * 100)}%` }}
        />
      </div>
      <p className={clsx('mt-1 text-xs', near ? 'font-medium text-danger' : 'text-muted')}>
        {percent} % of {count(limit)}
        {near && <span className="sr-only"> {of}: near the limit</span>}
      </p>
    </div>
  )
}

export function Tile({ name, value, under }: { name: string; value: string; under: string }) {
  return (
    <li className="rounded-lg border border-line bg-surface p-4 shadow-(--shadow)">
      <h2 className="mb-1 text-xs text-muted">{name}</h2>
      <p className="text-2xl font-semibold tabular-nums">{value}</p>
      <p className="mt-1 text-xs text-muted">{under}</p>
    </li>
  )
}

/** A unit price, which may be a fraction of a cent. */
export const price = (value: number) =>
  `$${value.toLocaleString('en-US', { maximumFractionDigits: 4 })}`

/** When a series was last seen, which is written at most every five minutes. */
export function lastSeenText(timestamp: string, now: number): string {
  return now - Date.parse(timestamp) < 600_000 ? 'in the last 10 min' : timeAgo(timestamp, now)
}
