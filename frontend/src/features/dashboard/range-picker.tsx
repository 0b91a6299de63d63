import { CalendarClock, ChevronLeft, ChevronRight } from 'lucide-react'
import { type FormEvent, useEffect, useId, useState } from 'react'
import { Button, Field, Select } from '@/components/ui/controls'
import { Popover } from '@/components/ui/popover'
import {
  CALENDAR_RANGES,
  describeRange,
  QUICK_RANGES,
  readRange,
  resolveEnd,
  resolveRange,
  shiftRange,
  type TimeRange,
  writeTime,
} from '@/lib/time-range'
import type { Zone } from '@/lib/zone'

type Props = {
  range: TimeRange
  zone: Zone
  onChange: (range: TimeRange) => void
  onZone: (zone: Zone) => void
}

const ownZone = Intl.DateTimeFormat().resolvedOptions().timeZone

export function RangePicker({ range, zone, onChange, onZone }: Props) {
  const [open, setOpen] = useState(false)
  // What is typed stays when the popover closes without it being applied.
  const [typed, setTyped] = useState<TimeRange>()
  const choose = (next: TimeRange) => {
    onChange(next)
    setTyped(undefined)
    setOpen(false)
  }
  const name = describeRange(range, zone)
  return (
    <div className="flex min-w-0">
      <Button
        className="w-9 rounded-r-none !px-0"
        aria-label="Shift range back"
        title="Shift range back"
        onClick={() => onChange(shiftRange(range, -1, Date.now(), zone))}
      >
        <ChevronLeft size={16} aria-hidden="true" />
      </Button>
      <Popover
        label="Choose a time range"
        open={open}
        onOpenChange={setOpen}
        className="max-h-(--radix-popover-content-available-height) w-[min(42rem,calc(100vw-1rem))] overflow-y-auto"
        trigger={
          <Button
            className="min-w-0 rounded-none border-x-0"
            aria-label={`Time range: ${name}${zone === 'utc' ? ', UTC' : ''}`}
          >
            <CalendarClock size={16} className="shrink-0" aria-hidden="true" />
            <span className="truncate">{name}</span>
            {zone === 'utc' && <span className="text-xs text-muted">UTC</span>}
          </Button>
        }
      >
        <div className="grid gap-3 sm:grid-cols-[1fr_1fr_1.5fr]">
          <Ranges
            label="Recent"
            entries={QUICK_RANGES.map(([ago, title]) => [`now-${ago}`, 'now', title])}
            range={range}
            onChoose={choose}
          />
          <Ranges label="Calendar" entries={CALENDAR_RANGES} range={range} onChoose={choose} />
          <div className="order-first space-y-4 border-line sm:order-none sm:border-l sm:pl-3">
            <Ends range={range} zone={zone} typed={typed} onType={setTyped} onChoose={choose} />
            <div className="flex items-center gap-2 border-t border-line pt-3">
              <span className="text-sm text-muted">Time zone</span>
              <Select
                label="Time zone"
                className="min-w-0 flex-1"
                value={zone}
                onChange={(event) => onZone(event.target.value === 'utc' ? 'utc' : 'browser')}
              >
                <option value="browser">{ownZone} (browser)</option>
                <option value="utc">UTC</option>
              </Select>
            </div>
          </div>
        </div>
      </Popover>
      <Button
        className="w-9 rounded-l-none !px-0"
        aria-label="Shift range forward"
        title="Shift range forward"
        disabled={range.to === 'now'}
        onClick={() => onChange(shiftRange(range, 1, Date.now(), zone))}
      >
        <ChevronRight size={16} aria-hidden="true" />
      </Button>
    </div>
  )
}

type RangesProps = {
  label: string
  entries: readonly (readonly [from: string, to: string, title: string])[]
  range: TimeRange
  onChoose: (range: TimeRange) => void
}

function Ranges({ label, entries, range, onChoose }: RangesProps) {
  const heading = useId()
  return (
    <div>
      <h2 id={heading} className="px-2 pb-1 text-xs font-medium text-muted">
        {label}
      </h2>
      <ul aria-labelledby={heading} className="max-sm:grid max-sm:grid-cols-2">
        {entries.map(([from, to, title]) => (
          <li key={title}>
            <button
              type="button"
              aria-current={range.from === from && range.to === to}
              className="w-full rounded px-2 py-1.5 text-left hover:bg-raised aria-[current=true]:bg-raised aria-[current=true]:font-medium"
              onClick={() => onChoose({ from, to })}
            >
              {title}
            </button>
          </li>
        ))}
      </ul>
    </div>
  )
}

const shownEnd = (text: string, time: number, zone: Zone) =>
  text.startsWith('now') ? text : writeTime(time, zone)

type EndsProps = Pick<Props, 'range' | 'zone'> &
  Pick<RangesProps, 'onChoose'> & {
    typed: TimeRange | undefined
    onType: (typed: TimeRange) => void
  }

function Ends({ range, zone, typed, onType, onChoose }: EndsProps) {
  const now = resolveRange(range, Date.now(), zone)
  const [shownZone, setShownZone] = useState(zone)
  const { from, to } = typed ?? {
    from: shownEnd(range.from, now.start, zone),
    to: shownEnd(range.to, now.end, zone),
  }
  useEffect(() => {
    if (shownZone === zone) return
    setShownZone(zone)
    if (!typed) return
    // The same times, as the other time zone writes them.
    const moved = (text: string, side: 'from' | 'to') => {
      const time = resolveEnd(text, Date.now(), side, shownZone)
      return time === undefined ? text : shownEnd(text.trim(), time, zone)
    }
    onType({ from: moved(typed.from, 'from'), to: moved(typed.to, 'to') })
  }, [shownZone, zone, typed, onType])
  const error = rangeError({ from, to }, zone)
  const apply = (event: FormEvent) => {
    event.preventDefault()
    if (error) return
    const endText = (text: string, side: 'from' | 'to') =>
      text.trim().startsWith('now')
        ? text.trim()
        : String(resolveEnd(text, Date.now(), side, zone) ?? '')
    onChoose({ from: endText(from, 'from'), to: endText(to, 'to') })
  }
  return (
    <form onSubmit={apply} className="space-y-3">
      <Field
        label="From"
        value={from}
        spellCheck={false}
        autoComplete="off"
        onChange={(event) => onType({ from: event.target.value, to })}
      />
      <Field
        label="To"
        hint="For example now-90m, now/d, 2026-01-31 or 2026-01-31 14:05:00."
        value={to}
        spellCheck={false}
        autoComplete="off"
        onChange={(event) => onType({ from, to: event.target.value })}
      />
      {error && (
        <p role="alert" className="text-xs text-danger">
          {error}
        </p>
      )}
      <Button type="submit" variant="primary" className="w-full" disabled={error !== undefined}>
        Apply
      </Button>
    </form>
  )
}

function rangeError(range: TimeRange, zone: Zone): string | undefined {
  const now = Date.now()
  if (resolveEnd(range.from, now, 'from', zone) === undefined) return 'From is not a valid time.'
  if (resolveEnd(range.to, now, 'to', zone) === undefined) return 'To is not a valid time.'
  return readRange(range, now, zone) ? undefined : 'From must be before To.'
}
