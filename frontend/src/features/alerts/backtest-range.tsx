import { History as HistoryIcon } from 'lucide-react'
import type { ReactNode } from 'react'
import { Button, Choice } from '@/components/ui/controls'
import { intervalMs } from '@/lib/time-range'

const SPANS = ['1h', '6h', '24h', '2d', '6d']
export const FIRST_SPAN = '1h'

export const spanMs = (span: string) => intervalMs(span) ?? 3_600_000

/** A span that ends now, as the API takes it. */
export function rangeOf(span: string) {
  const end = Date.now()
  return { start: new Date(end - spanMs(span)).toISOString(), end: new Date(end).toISOString() }
}

type Props = {
  span: string
  pending: boolean
  onSpan: (span: string) => void
  onBacktest: () => void
  children?: ReactNode
}

/** The time range of a rule's chart, and a backtest over it. */
export function BacktestRange({ span, pending, onSpan, onBacktest, children }: Props) {
  return (
    <div className="flex flex-wrap items-end gap-3">
      <div className="w-32">
        <Choice label="Time range" value={span} onChange={(event) => onSpan(event.target.value)}>
          {SPANS.map((value) => (
            <option key={value}>{value}</option>
          ))}
        </Choice>
      </div>
      <Button disabled={pending} onClick={onBacktest}>
        <HistoryIcon size={15} aria-hidden="true" /> Backtest
      </Button>
      {children}
    </div>
  )
}
