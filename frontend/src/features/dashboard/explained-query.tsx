import { Fragment } from 'react'
import type { ExplainedRead, QueryExplain } from '@/api/generated/types.gen'
import { timeZoneOf, useZone } from '@/lib/zone'

const count = (value: number) => value.toLocaleString('en-US')
const milliseconds = (value: number) => `${value.toFixed(1)} ms`

/** How a query was executed: what was computed and read, by what, and how long that took. */
export function ExplainedQuery({ explain }: { explain: QueryExplain }) {
  const clock = new Intl.DateTimeFormat(undefined, {
    dateStyle: 'short',
    timeStyle: 'medium',
    timeZone: timeZoneOf(useZone()),
  })
  const described = ({ series, rows, table, start, end, ...read }: ExplainedRead) =>
    read.shared
      ? 'read for another query, used again'
      : `${count(series)} series, ${count(rows)} rows of ${table}, ${clock.formatRange(start, end)}, ${milliseconds(read.durationMs)}`
  const total = explain.times.reduce((sum, { durationMs }) => sum + durationMs, 0)
  return (
    <dl className="mt-1 grid grid-cols-[max-content_1fr] gap-x-3 gap-y-0.5 rounded-md border border-line p-2 [&>dt]:text-muted">
      <dt>Computed</dt>
      <dd>
        <code className="break-words">{explain.evaluated}</code>
      </dd>
      <dt>Tier</dt>
      <dd>
        {explain.tier}, step {explain.step}
      </dd>
      <dt>Cache</dt>
      <dd>
        {count(explain.pointsCached)} of {count(explain.points)} points
      </dd>
      {explain.reads.map((read) => (
        <Fragment key={`${read.selector} ${read.start} ${read.end}`}>
          <dt>Read</dt>
          <dd>
            <code className="block break-words">{read.selector}</code>
            {described(read)}
            <span className="block">
              {read.pushedDown ? `By SQL: ${read.pushedDown}` : 'By SQL: nothing, each row fetched'}
            </span>
          </dd>
        </Fragment>
      ))}
      <dt>Time</dt>
      <dd>
        {explain.times
          .map(({ phase, durationMs }) => `${phase} ${milliseconds(durationMs)}`)
          .join(', ')}
        , together {milliseconds(total)}
      </dd>
    </dl>
  )
}
