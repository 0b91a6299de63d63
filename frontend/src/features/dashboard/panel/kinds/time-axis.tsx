import { timeZoneOf, useZone } from '@/lib/zone'

/** A few times below a chart that is no line chart. */
export function TimeAxis({
  start,
  end,
  inset,
}: {
  start: number
  end: number
  inset: number | string
}) {
  const zone = useZone()
  const day = end - start > 86_400_000
  const format = new Intl.DateTimeFormat(undefined, {
    ...(day ? { month: 'numeric', day: 'numeric' } : {}),
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
    timeZone: timeZoneOf(zone),
  })
  const marks = [0.1, 0.3, 0.5, 0.7, 0.9]
  return (
    <div
      className="when-roomy relative h-4 shrink-0 text-[11px] text-muted tabular-nums"
      style={{ marginLeft: inset }}
      aria-hidden="true"
    >
      {marks.map((mark) => (
        <span
          key={mark}
          className={`absolute -translate-x-1/2 whitespace-nowrap ${mark === 0.5 ? '' : 'when-wide'}`}
          style={{ left: `${mark * 100}%` }}
        >
          {format.format(start + (end - start) * mark)}
        </span>
      ))}
    </div>
  )
}
