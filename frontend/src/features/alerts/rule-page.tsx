import { useMutation, useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { BookOpen, Compass, Copy, Pencil, Play } from 'lucide-react'
import {
  evaluateAlertRuleMutation,
  getAlertRuleOptions,
  getMeOptions,
} from '@/api/generated/@tanstack/react-query.gen'
import type { AlertInstance } from '@/api/generated/types.gen'
import { ErrorBoundary } from '@/components/error-boundary'
import { Button, Card, Empty, Failure, Page, Skeleton } from '@/components/ui/controls'
import { messageOf } from '@/lib/errors'
import { AcknowledgeButton, Acknowledged } from './acknowledge'
import { AlertHistory } from './alert-history'
import { describeRule, formatAlertValue, formatTags, POLL } from './labels'
import { TableHead } from './loaded'
import { SilenceMenu } from './silence-menu'
import { QuietBadge, Severity, StateBadge } from './state-badge'
import { ThresholdChart } from './threshold-chart'
import { useChangingRules } from './use-rules'

const dateTime = new Intl.DateTimeFormat(undefined, { dateStyle: 'short', timeStyle: 'medium' })

/** One rule: its chart, the state of its series, its current evaluation, and its history. */
export function RulePage({ id }: { id: string }) {
  const { data: me } = useQuery(getMeOptions())
  const { data, error, refetch } = useQuery({
    ...getAlertRuleOptions({ path: { rule_id: id } }),
    refetchInterval: POLL,
    refetchIntervalInBackground: false,
  })
  const evaluate = useMutation(evaluateAlertRuleMutation())
  const unconfirmed = useChangingRules().get(id)
  if (!data) {
    return (
      <Page title="Alert rule">
        {error ? (
          <Card>
            <Failure message={messageOf(error)} onRetry={() => void refetch()} />
          </Card>
        ) : (
          <Skeleton className="h-64" />
        )}
      </Page>
    )
  }
  const rule = { ...data.data, ...unconfirmed }
  const canEdit = me !== undefined && me.data.role !== 'viewer'
  const now = evaluate.data?.data
  return (
    <Page
      title={rule.name}
      actions={
        canEdit && (
          <>
            <Button
              disabled={evaluate.isPending}
              onClick={() => evaluate.mutate({ path: { rule_id: id } })}
            >
              <Play size={15} aria-hidden="true" /> Evaluate now
            </Button>
            <Link
              to="/alerts/new"
              search={{ from: id }}
              className="inline-flex h-9 items-center gap-2 rounded-md border border-line bg-surface px-3 text-sm font-medium hover:bg-raised"
            >
              <Copy size={15} aria-hidden="true" /> Duplicate
            </Link>
            <Link
              to="/alerts/$id/edit"
              params={{ id }}
              className="inline-flex h-9 items-center gap-2 rounded-md bg-accent px-3 text-sm font-medium text-accent-text hover:opacity-90"
            >
              <Pencil size={15} aria-hidden="true" /> Edit
            </Link>
          </>
        )
      }
    >
      <div className="mb-3 flex flex-wrap items-center gap-x-4 gap-y-2">
        {unconfirmed ? (
          <QuietBadge>Saving…</QuietBadge>
        ) : rule.enabled ? (
          <StateBadge status={rule.status} count={rule.firing || rule.pending} />
        ) : (
          <QuietBadge>Disabled</QuietBadge>
        )}
        <code className="text-sm break-all">{rule.query}</code>
        <span className="tabular-nums">{describeRule(rule)}</span>
        <Severity value={rule.severity} />
        <Link
          to="/explore"
          search={{ q: rule.query }}
          className="inline-flex items-center gap-1 text-accent hover:underline"
        >
          <Compass size={14} aria-hidden="true" /> Explore
        </Link>
        {rule.runbookUrl && (
          <a
            href={rule.runbookUrl}
            target="_blank"
            rel="noreferrer"
            className="inline-flex items-center gap-1 text-accent hover:underline"
          >
            <BookOpen size={14} aria-hidden="true" /> Runbook
          </a>
        )}
        {rule.lastEvaluatedAt && (
          <span className="text-xs text-muted">
            evaluated {dateTime.format(new Date(rule.lastEvaluatedAt))}
          </span>
        )}
      </div>
      {rule.lastError && (
        <p role="alert" className="mb-3 text-sm text-danger">
          {rule.lastError}
        </p>
      )}
      {now && (
        <Card className="mb-3 overflow-x-auto">
          <h2 className="px-4 pt-3 font-medium">
            Evaluated at {dateTime.format(new Date(now.at))}. No state was changed.
          </h2>
          {now.notes.map((note) => (
            <p key={note} className="px-4 pt-1 text-sm text-muted">
              {note}
            </p>
          ))}
          <Instances instances={now.instances} />
        </Card>
      )}
      <Card className="mb-3 h-64 p-3">
        <ErrorBoundary shown={rule}>
          <ThresholdChart query={rule.query} threshold={rule.threshold ?? null} span={3_600_000} />
        </ErrorBoundary>
      </Card>
      <Card className="mb-6 overflow-x-auto">
        <h2 className="px-4 pt-3 font-medium">Series</h2>
        {rule.instances.length === 0 ? (
          <Empty title="No active alerts">
            {rule.condition === 'returned'
              ? 'A series is listed here once the query returns it.'
              : 'A series is listed here once its value crosses the threshold.'}
          </Empty>
        ) : (
          <Instances instances={rule.instances} silence={canEdit ? rule.name : undefined} />
        )}
      </Card>
      <h2 className="mb-2 font-medium">History</h2>
      <AlertHistory ruleId={id} canEdit={canEdit} />
    </Page>
  )
}

type InstancesProps = {
  instances: AlertInstance[]
  /** The rule's name, if its alerts can be silenced. */
  silence?: string
}

function Instances({ instances, silence }: InstancesProps) {
  if (instances.length === 0) return <div className="h-3" />
  return (
    <table className="stacked w-full text-left sm:min-w-[36rem]">
      <TableHead
        names={['State', 'Series', 'Value', 'Since', 'Reason', ...(silence ? ['Actions'] : [])]}
        wide={['Since', 'Reason']}
      />
      <tbody>
        {instances.map((one) => (
          <tr key={formatTags(one.tags)} className="border-t border-line">
            <td className="px-4 py-2.5 whitespace-nowrap">
              <StateBadge status={one.status} /> {one.silenced && <QuietBadge>Silenced</QuietBadge>}
            </td>
            <td className="px-4 py-2.5 font-mono text-xs">{formatTags(one.tags) || 'all'}</td>
            <td className="px-4 py-2.5 tabular-nums" data-label="Value">
              {formatAlertValue(one.value)}
            </td>
            <td className="px-4 py-2.5 whitespace-nowrap text-muted max-sm:hidden">
              {new Date(one.since).getTime() > 0 ? dateTime.format(new Date(one.since)) : ''}
            </td>
            <td className="px-4 py-2.5 text-muted max-sm:hidden">
              {one.reason}
              <Acknowledged given={one.acknowledgement} />
            </td>
            {silence && (
              <td className="px-4 py-1.5">
                {one.status === 'firing' && !one.silenced && (
                  <div className="flex gap-2">
                    {one.eventId && (
                      <AcknowledgeButton
                        eventId={one.eventId}
                        what={[silence, formatTags(one.tags)].join(' ').trim()}
                        given={one.acknowledgement}
                      />
                    )}
                    <SilenceMenu rule={silence} tags={one.tags} labels={one.labels} />
                  </div>
                )}
              </td>
            )}
          </tr>
        ))}
      </tbody>
    </table>
  )
}
