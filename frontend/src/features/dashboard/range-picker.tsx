import { CalendarClock } from 'lucide-react'
import { type FormEvent, useRef, useState } from 'react'
import { Button, Field } from '@/components/ui/controls'
import { describeRange, QUICK_RANGES, resolveRange, type TimeRange } from '@/lib/time-range'

/** Milliseconds as a datetime-local input wants them, in the browser's zone. */
function toLocal(time: number): string {
  return new Date(time - new Date(time).getTimezoneOffset() * 60_000).toISOString().slice(0, 16)
}

export function RangePicker({
  range,
  onChange,
}: {
  range: TimeRange
  onChange: (range: TimeRange) => void
}) {
  const popover = useRef<HTMLDivElement>(null)
  const now = resolveRange(range, Date.now())
  const [from, setFrom] = useState('')
  const [to, setTo] = useState('')
  const invalid = from !== '' && to !== '' && Date.parse(from) >= Date.parse(to)
  const close = () => popover.current?.hidePopover()
  const choose = (next: TimeRange) => {
    onChange(next)
    close()
  }
  const apply = (event: FormEvent) => {
    event.preventDefault()
    const start = Date.parse(from || toLocal(now.start))
    const end = Date.parse(to || toLocal(now.end))
    if (start < end) choose({ from: String(start), to: String(end) })
  }
  return (
    <div className="relative">
      <Button
        popoverTarget="range-picker"
        aria-label={`Time range: ${describeRange(range)}`}
        style={{ anchorName: '--range' } as object}
      >
        <CalendarClock size={16} aria-hidden="true" />
        {describeRange(range)}
      </Button>
      <div
        ref={popover}
        id="range-picker"
        popover="auto"
        role="dialog"
        aria-label="Choose a time range"
        className="fixed inset-auto top-28 right-4 m-0 w-[min(26rem,calc(100vw-2rem))] rounded-lg border border-line bg-surface p-3 text-text shadow-xl"
      >
        <div className="grid gap-3 sm:grid-cols-2">
          <ul className="space-y-0.5">
            {QUICK_RANGES.map(([value, label]) => (
              <li key={value}>
                <button
                  type="button"
                  aria-current={range.to === 'now' && range.from === `now-${value}`}
                  className="w-full rounded px-2 py-1.5 text-left hover:bg-raised aria-[current=true]:bg-raised aria-[current=true]:font-medium"
                  onClick={() => choose({ from: `now-${value}`, to: 'now' })}
                >
                  {label}
                </button>
              </li>
            ))}
          </ul>
          <form onSubmit={apply} className="space-y-3 border-line sm:border-l sm:pl-3">
            <Field
              label="From"
              type="datetime-local"
              value={from || toLocal(now.start)}
              onChange={(event) => setFrom(event.target.value)}
            />
            <Field
              label="To"
              type="datetime-local"
              value={to || toLocal(now.end)}
              onChange={(event) => setTo(event.target.value)}
            />
            {invalid && (
              <p role="alert" className="text-xs text-danger">
                From must be before To.
              </p>
            )}
            <Button type="submit" look="primary" className="w-full" disabled={invalid}>
              Apply
            </Button>
          </form>
        </div>
      </div>
    </div>
  )
}
