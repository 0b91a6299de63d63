import { useQuery } from '@tanstack/react-query'
import clsx from 'clsx'
import { CircleCheck, CircleX } from 'lucide-react'
import type { ReactNode } from 'react'
import { getStatusOptions } from '@/api/generated/@tanstack/react-query.gen'
import type { JobStatus, SpillStatus } from '@/api/generated/types.gen'
import { AddData } from '@/components/add-data'
import { Card, Failure, Page, Skeleton } from '@/components/ui/controls'
import { messageOf } from '@/lib/errors'
import { formatValue } from '@/lib/units'

const clock = new Intl.DateTimeFormat(undefined, { dateStyle: 'short', timeStyle: 'medium' })
const NAMES: Record<string, string> = {
  alerts: 'Alert rules',
  cache: 'Cache',
  database: 'Database',
}

export function StatusPage() {
  const { data, error, refetch } = useQuery({
    ...getStatusOptions(),
    refetchInterval: 10_000,
    refetchIntervalInBackground: false,
  })
  const status = data?.data
  if (!status) {
    return (
      <Page title="Status">
        {error ? (
          <Card>
            <Failure message={messageOf(error)} onRetry={() => void refetch()} />
          </Card>
        ) : (
          <Skeleton className="h-48" />
        )}
      </Page>
    )
  }
  const counts = [
    { name: 'Metrics', value: status.metricsCount ?? 0 },
    { name: 'Series', value: status.seriesCount ?? 0 },
  ]
  return (
    <Page title="Status">
      <ul className="grid grid-cols-2 gap-3 lg:grid-cols-4 xl:grid-cols-7">
        {status.components.map((part) => (
          <Tile key={part.name} name={NAMES[part.name] ?? part.name}>
            <Mark good={part.ok}>{part.ok ? 'Available' : 'Unavailable'}</Mark>
            <p className="mt-1 text-xs text-muted">
              {part.message ?? (part.latencyMs ? `in ${part.latencyMs.toFixed(1)} ms` : '')}
            </p>
          </Tile>
        ))}
        <Tile name="Circuit breaker">
          <Mark good={status.circuitBreaker === 'closed'}>
            {status.circuitBreaker === 'closed' ? 'Closed' : status.circuitBreaker}
          </Mark>
          <p className="mt-1 text-xs text-muted">Closed: queries reach the database.</p>
        </Tile>
        {status.spill && <SpillTile spill={status.spill} />}
        {counts.map(({ name, value }) => (
          <Tile key={name} name={name}>
            <p className="text-2xl font-semibold tabular-nums">{value.toLocaleString('en-US')}</p>
          </Tile>
        ))}
      </ul>
      {status.metricsCount === 0 && (
        <Card className="mt-3 p-4">
          <h2 className="mb-2 font-medium">No metrics received yet</h2>
          <AddData />
        </Card>
      )}
      <h2 className="mt-6 mb-2 font-medium">Background jobs</h2>
      <Card>
        <Jobs jobs={status.jobs ?? []} />
      </Card>
      <p className="mt-3 text-xs text-muted">
        Pulseboard {status.version}, as of {clock.format(new Date(status.time))}
      </p>
    </Page>
  )
}

function Tile({ name, children }: { name: string; children: ReactNode }) {
  return (
    <li className="rounded-lg border border-line bg-surface p-4 shadow-(--shadow)">
      <h2 className="mb-1 text-xs text-muted">{name}</h2>
      {children}
    </li>
  )
}

/** Accepted samples that are not written to the database yet. */
function SpillTile({ spill }: { spill: SpillStatus }) {
  const { files, bytes, oldestSeconds, dead } = spill
  const none = dead ? `${formatValue(dead)} set aside` : 'None'
  return (
    <Tile name="Queued samples">
      <Mark good={!dead}>{files ? `${formatValue(files)} batches` : none}</Mark>
      <p className="mt-1 text-xs text-muted">
        {files > 0 &&
          `${formatValue(bytes, 'decbytes')}, oldest: ${formatValue(oldestSeconds, 'seconds', 0)}. `}
        {files > 0 && dead > 0 && `${formatValue(dead)} more set aside. `}
        {dead > 0 && "Batches that can't be written are kept with the error."}
        {!files && !dead && 'Samples are queued here while the database is unavailable.'}
      </p>
    </Tile>
  )
}

function Mark({ good, children }: { good: boolean; children: ReactNode }) {
  const Icon = good ? CircleCheck : CircleX
  return (
    <p className={clsx('flex items-center gap-1.5 font-medium', good ? 'text-ok' : 'text-danger')}>
      <Icon size={17} aria-hidden="true" />
      {children}
    </p>
  )
}

function Jobs({ jobs }: { jobs: JobStatus[] }) {
  if (!jobs.length) return <p className="p-4 text-muted">No jobs reported.</p>
  return (
    <section
      className="overflow-x-auto"
      aria-label="Background jobs"
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard
      tabIndex={0}
    >
      <table className="stacked w-full min-w-[40rem] text-left">
        <thead className="text-xs text-muted">
          <tr>
            {['Job', 'Target', 'Last run', 'Next run', 'State'].map((heading) => (
              <th key={heading} className="px-4 py-2.5 font-medium">
                {heading}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {jobs.map((job) => (
            <tr key={job.id} className="border-t border-line">
              <td className="line px-4 py-2.5 font-medium">{job.name}</td>
              <td className="px-4 py-2.5">{job.target ?? ''}</td>
              <td className="px-4 py-2.5 text-muted" data-label="Last run">
                {formatTime(job.lastRunAt, 'Never')}
              </td>
              <td className="px-4 py-2.5 text-muted" data-label="Next run">
                {formatTime(job.nextRunAt, 'When due')}
              </td>
              <td className="px-4 py-2.5">
                <Mark good={!job.late && job.lastStatus !== 'Failed'}>
                  {job.late ? 'Late' : (job.lastStatus ?? 'Waiting')}
                </Mark>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  )
}

const formatTime = (time: string | null | undefined, otherwise: string) =>
  time ? clock.format(new Date(time)) : otherwise
