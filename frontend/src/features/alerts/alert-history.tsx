import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import clsx from 'clsx'
import { useState } from 'react'
import { getAlertHistoryOptions } from '@/api/generated/@tanstack/react-query.gen'
import { Button, Empty } from '@/components/ui/controls'
import { AcknowledgeButton, Acknowledged } from './acknowledge'
import { formatAlertValue, formatDuration, formatTags, POLL } from './labels'
import { Loaded, TableHead } from './loaded'
import { SilenceMenu } from './silence-menu'
import { Severity, StateBadge } from './state-badge'

const dateTime = new Intl.DateTimeFormat(undefined, { dateStyle: 'short', timeStyle: 'medium' })
const PAGE = 50

/** What fired, and why it started and ended, for one rule or for all. */
export function AlertHistory({ ruleId, canEdit }: { ruleId?: string; canEdit: boolean }) {
  const [page, setPage] = useState(1)
  const events = useQuery({
    ...getAlertHistoryOptions({ query: { ruleId, page, pageSize: PAGE } }),
    refetchInterval: POLL,
    refetchIntervalInBackground: false,
    placeholderData: keepPreviousData,
  })
  return (
    <Loaded of={events}>
      {({ data, meta }) =>
        data.length === 0 ? (
          <Empty title="No alerts have fired yet" />
        ) : (
          <>
            <table className="stacked w-full text-left sm:min-w-[44rem]">
              <TableHead
                names={[
                  'State',
                  ...(ruleId ? [] : ['Rule']),
                  'Series',
                  'Fired',
                  'Ended',
                  'Duration',
                  'Actions',
                ]}
                wide={ruleId ? ['Ended', 'Duration'] : ['Series', 'Ended', 'Duration']}
              />
              <tbody>
                {data.map((event) => (
                  <tr key={event.id} className="border-t border-line align-top">
                    <td className="px-4 py-3">
                      <StateBadge status={event.status} />
                    </td>
                    {!ruleId && (
                      <td className="px-4 py-3 max-sm:flex-1">
                        <Link
                          to="/alerts/$id"
                          params={{ id: event.ruleId }}
                          className="font-medium hover:underline"
                        >
                          {event.ruleName}
                        </Link>
                        <p className="text-xs">
                          <Severity value={event.severity} />{' '}
                          <span className="font-mono text-muted sm:hidden">
                            {formatTags(event.tags)}
                          </span>
                        </p>
                      </td>
                    )}
                    <td
                      className={clsx(
                        'px-4 py-3 font-mono text-xs break-all',
                        !ruleId && 'max-sm:hidden',
                      )}
                    >
                      {formatTags(event.tags) || 'all'}
                    </td>
                    <td className="line px-4 py-3">
                      <time dateTime={event.triggeredAt} className="sm:whitespace-nowrap">
                        {dateTime.format(new Date(event.triggeredAt))}
                      </time>
                      <p className="text-xs text-muted">
                        {formatAlertValue(event.value)} · {event.reason}
                      </p>
                      <Acknowledged given={event.acknowledgement} />
                    </td>
                    <td className="px-4 py-3 max-sm:hidden">
                      {event.resolvedAt ? (
                        <>
                          <time dateTime={event.resolvedAt} className="whitespace-nowrap">
                            {dateTime.format(new Date(event.resolvedAt))}
                          </time>
                          <p className="text-xs text-muted">{event.resolvedReason}</p>
                        </>
                      ) : (
                        <span className="text-muted">not yet</span>
                      )}
                    </td>
                    <td className="px-4 py-3 whitespace-nowrap tabular-nums max-sm:hidden">
                      {formatDuration(
                        new Date(event.resolvedAt ?? Date.now()).getTime() -
                          new Date(event.triggeredAt).getTime(),
                      )}
                    </td>
                    <td className="px-4 py-2">
                      {canEdit && event.status === 'firing' && (
                        <div className="flex gap-2">
                          <AcknowledgeButton
                            eventId={event.id}
                            what={[event.ruleName, formatTags(event.tags)].join(' ').trim()}
                            given={event.acknowledgement}
                          />
                          <SilenceMenu
                            rule={event.ruleName}
                            tags={event.tags}
                            labels={event.labels}
                          />
                        </div>
                      )}
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
            {meta && meta.total > PAGE && (
              <div className="flex items-center justify-end gap-2 border-t border-line p-3 text-sm">
                <span className="text-muted">
                  Page {page} of {Math.ceil(meta.total / PAGE)}
                </span>
                <Button disabled={page === 1} onClick={() => setPage(page - 1)}>
                  Newer
                </Button>
                <Button disabled={page * PAGE >= meta.total} onClick={() => setPage(page + 1)}>
                  Older
                </Button>
              </div>
            )}
          </>
        )
      }
    </Loaded>
  )
}
