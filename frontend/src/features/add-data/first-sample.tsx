import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { CircleCheck, CircleDashed, TriangleAlert } from 'lucide-react'
import { getKeyReceivedOptions } from '@/api/generated/@tanstack/react-query.gen'
import type { KeyReceived } from '@/api/generated/types.gen'
import { Refusals } from '@/components/refusals'
import { timeAgo } from '@/lib/age'
import { messageOf } from '@/lib/errors'

const POLL_MS = 2_000
const SHOWN = 6

/** Whether samples sent with a key have arrived. Polls every two seconds while the page is visible. */
export function FirstSample({ keyId }: { keyId?: string | undefined }) {
  const { data, error, dataUpdatedAt } = useQuery({
    ...getKeyReceivedOptions({ path: { key_id: keyId ?? '' } }),
    enabled: keyId !== undefined,
    refetchInterval: POLL_MS,
    refetchIntervalInBackground: false,
    staleTime: 0,
  })
  const received = data?.data
  return (
    <div role="status" className="rounded-lg border border-line bg-surface p-4 shadow-(--shadow)">
      {!keyId ? (
        <Line icon={CircleDashed} title="Waiting for a key">
          Create a key above. Data sent with it appears here.
        </Line>
      ) : error && !received ? (
        <Line icon={TriangleAlert} title="Status unavailable" tone="text-danger">
          {messageOf(error)}
        </Line>
      ) : received && (received.daySamples || received.seriesCount) ? (
        <Received received={received} now={dataUpdatedAt} />
      ) : received?.lastUsedAt ? (
        <Line icon={TriangleAlert} title="Key used, but no samples stored" tone="text-warn">
          {received.refused?.length ? (
            <Refusals refused={received.refused} now={dataUpdatedAt} />
          ) : (
            'A request used this key, but nothing was stored. Check the response that the sender received.'
          )}
        </Line>
      ) : (
        <Line icon={CircleDashed} title="Waiting for the first sample…" turning>
          This page checks every two seconds. You can leave and come back.
        </Line>
      )}
    </div>
  )
}

function Received({ received, now }: { received: KeyReceived; now: number }) {
  const { metrics, seriesCount, recentSamples, newestSampleAt, dayRefused, refused } = received
  const more = metrics.length - SHOWN
  return (
    <Line icon={CircleCheck} title="Received" tone="text-ok">
      <span className="block">
        {counted(recentSamples, 'sample')} in the last 15 minutes
        {seriesCount > 0 && `, in ${counted(seriesCount, 'series', 'series')}`}
        {newestSampleAt && (
          <span aria-hidden="true">; newest sample {timeAgo(newestSampleAt, now)}</span>
        )}
      </span>
      <ul aria-label="Metrics received" className="mt-2 flex flex-wrap gap-1.5">
        {metrics.slice(0, SHOWN).map((name) => (
          <li key={name}>
            <Link
              to="/metrics/$name"
              params={{ name }}
              className="rounded bg-raised px-2 py-0.5 text-xs text-text hover:underline"
            >
              {name}
            </Link>
          </li>
        ))}
        {more > 0 && <li className="text-xs">and more</li>}
      </ul>
      {refused && refused.length > 0 && (
        <details className="mt-3">
          <summary className="cursor-pointer text-warn">
            {counted(dayRefused ?? 0, 'refusal')} in the last day
          </summary>
          <Refusals refused={refused} now={now} />
        </details>
      )}
    </Line>
  )
}

const counted = (count: number, one: string, many = `${one}s`) =>
  `${count.toLocaleString('en-US')} ${count === 1 ? one : many}`

function Line({
  icon: Icon,
  title,
  tone = 'text-muted',
  turning,
  children,
}: {
  icon: typeof CircleCheck
  title: string
  tone?: string
  turning?: boolean
  children: React.ReactNode
}) {
  return (
    <div className="flex gap-3">
      <Icon
        size={20}
        aria-hidden="true"
        className={`${tone} shrink-0 ${turning ? 'animate-[spin_4s_linear_infinite]' : ''}`}
      />
      <div className="min-w-0">
        <p className={`font-medium ${tone === 'text-muted' ? '' : tone}`}>{title}</p>
        <div className="text-sm text-muted">{children}</div>
      </div>
    </div>
  )
}
