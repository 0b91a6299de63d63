import clsx from 'clsx'
import { CircleCheck, CircleDot, Clock, Flame } from 'lucide-react'
import type { AlertSeverity, AlertStatus } from '@/api/generated/types.gen'
import { STATUS_LABELS } from './labels'

const STYLES = {
  firing: { icon: Flame, style: 'border-danger/40 bg-danger/10 text-danger' },
  pending: { icon: Clock, style: 'border-warn/40 bg-warn/10 text-warn' },
  resolved: { icon: CircleCheck, style: 'border-line text-ok' },
  inactive: { icon: CircleCheck, style: 'border-line text-ok' },
} as const

/** A state as colour, icon and word: never by colour alone. */
export function StateBadge({ status, count }: { status: AlertStatus; count?: number }) {
  const { icon: Icon, style } = STYLES[status]
  return (
    <span
      className={clsx(
        'inline-flex items-center gap-1.5 rounded-full border px-2 py-0.5 text-xs font-medium whitespace-nowrap',
        style,
      )}
    >
      <Icon size={13} aria-hidden="true" />
      {STATUS_LABELS[status]}
      {count !== undefined && count > 1 && <span className="tabular-nums">{count}</span>}
    </span>
  )
}

export function QuietBadge({ children }: { children: string }) {
  return (
    <span className="inline-flex items-center gap-1.5 rounded-full border border-line px-2 py-0.5 text-xs font-medium whitespace-nowrap text-muted">
      <CircleDot size={13} aria-hidden="true" />
      {children}
    </span>
  )
}

const SEVERITY_STYLES: Record<AlertSeverity, string> = {
  info: 'text-muted',
  warning: 'text-warn',
  critical: 'text-danger font-medium',
}

export function Severity({ value }: { value: AlertSeverity }) {
  return <span className={clsx('capitalize', SEVERITY_STYLES[value])}>{value}</span>
}
