import { useMutation, useQuery } from '@tanstack/react-query'
import { useLocation, useNavigate } from '@tanstack/react-router'
import { History as HistoryIcon } from 'lucide-react'
import { type FormEvent, useDeferredValue, useState } from 'react'
import { toast } from 'sonner'
import {
  getAlertRuleOptions,
  listMetricsOptions,
  previewAlertRuleMutation,
} from '@/api/generated/@tanstack/react-query.gen'
import type { AlertRule } from '@/api/generated/types.gen'
import { zCreateAlertRule } from '@/api/generated/zod.gen'
import { Button, Card, Choice, Failure, Field, Page, Skeleton } from '@/components/ui/controls'
import { messageOf } from '@/lib/errors'
import { intervalMs } from '@/lib/time-range'
import { errorsByField, serverErrorsByField } from '@/lib/validation-errors'
import type { NewRuleSearch } from './alerts-search'
import { BacktestResult } from './backtest-result'
import { CONDITIONS, readLabels, SEVERITIES } from './labels'
import { bodyOf, draftOf, EMPTY_DRAFT, type RuleDraft } from './rule-draft'
import { RuleNotification } from './rule-notification'
import { ThresholdChart } from './threshold-chart'
import { useSaveRule } from './use-save-rule'

const REDUCERS = ['last', 'avg', 'min', 'max', 'sum'] as const
const NO_DATA = [
  { value: 'keep_state', text: 'Keep state' },
  { value: 'ok', text: 'OK' },
  { value: 'alert', text: 'Alert' },
] as const
const SPANS = ['1h', '6h', '24h', '2d', '6d']

export function EditRule({ id }: { id: string }) {
  const { data, error, refetch } = useQuery(getAlertRuleOptions({ path: { rule_id: id } }))
  if (data) return <RuleEditor key={data.data.version} rule={data.data} />
  return <LoadingRule title="Edit rule" error={error} onRetry={() => void refetch()} />
}

/** A new rule: empty, with a query from another page, or a copy of another rule. */
export function NewRule({ query = '', name = '', from }: NewRuleSearch) {
  const { data, error, refetch } = useQuery({
    ...getAlertRuleOptions({ path: { rule_id: from ?? '' } }),
    enabled: from !== undefined,
  })
  if (from === undefined) return <RuleEditor initial={{ ...EMPTY_DRAFT, query, name }} />
  if (data) {
    const copied = draftOf(data.data)
    return <RuleEditor initial={{ ...copied, name: `${copied.name} (copy)`.slice(0, 200) }} />
  }
  return <LoadingRule title="New alert rule" error={error} onRetry={() => void refetch()} />
}

function LoadingRule({
  title,
  error,
  onRetry,
}: {
  title: string
  error: unknown
  onRetry: () => void
}) {
  return (
    <Page title={title}>
      {error ? (
        <Card>
          <Failure message={messageOf(error)} onRetry={onRetry} />
        </Card>
      ) : (
        <Skeleton className="h-96" />
      )}
    </Page>
  )
}

/** The editor of a new or existing rule, beside its live chart and its backtest. */
function RuleEditor({ rule, initial = EMPTY_DRAFT }: { rule?: AlertRule; initial?: RuleDraft }) {
  const refused = useLocation({ select: ({ state }) => state.refused })
  const [draft, setDraft] = useState<RuleDraft>(
    () => refused?.draft ?? (rule ? draftOf(rule) : initial),
  )
  const [fieldErrors, setFieldErrors] = useState<Record<string, string>>(refused?.fieldErrors ?? {})
  const [span, setSpan] = useState('1h')
  const navigate = useNavigate()
  const save = useSaveRule(rule)
  const query = useDeferredValue(draft.query)
  const metrics = useQuery({
    ...listMetricsOptions({ query: { prefix: /^[\w:.]*/.exec(query)?.[0] ?? '', pageSize: 50 } }),
    placeholderData: (before) => before,
    staleTime: 30_000,
  })
  const preview = useMutation({ ...previewAlertRuleMutation(), meta: { silent: true } })
  const change = (part: Partial<RuleDraft>) => {
    setDraft({ ...draft, ...part })
    preview.reset()
  }
  const checked = () => {
    const body = bodyOf(draft)
    const found = zCreateAlertRule.safeParse(body)
    const labels = readLabels(draft.labels).error
    const wrong = {
      ...(found.success ? {} : errorsByField(found.error)),
      ...(Number.isNaN(body.threshold) ? { threshold: 'Enter a number.' } : {}),
      ...(labels ? { labels } : {}),
    }
    setFieldErrors(wrong)
    return Object.keys(wrong).length === 0 ? body : null
  }
  const failed = (error: unknown) => {
    setFieldErrors(serverErrorsByField(error))
    toast.error(messageOf(error))
  }
  const submit = (event: FormEvent) => {
    event.preventDefault()
    const body = checked()
    if (body) save(draft, body)
  }
  const backtest = () => {
    const body = checked()
    if (!body) return
    const end = Date.now()
    preview.mutate(
      {
        body: {
          rule: body,
          start: new Date(end - (intervalMs(span) ?? 3_600_000)).toISOString(),
          end: new Date(end).toISOString(),
        },
      },
      { onError: failed },
    )
  }
  const text = (field: 'name' | 'duration' | 'window' | 'keepFiringFor' | 'evaluationDelay') => ({
    value: draft[field],
    error: fieldErrors[field],
    onChange: (event: { target: { value: string } }) => change({ [field]: event.target.value }),
  })
  const threshold = draft.threshold.trim() === '' ? Number.NaN : Number(draft.threshold)
  return (
    <Page title={rule ? `Edit ${rule.name}` : 'New alert rule'}>
      <form
        onSubmit={submit}
        className="grid gap-4 lg:grid-cols-[minmax(20rem,26rem)_1fr]"
        noValidate
      >
        <div className="space-y-4">
          {refused && (
            <p role="alert" className="rounded-md border border-danger/40 bg-danger/10 p-3 text-sm">
              Not saved: {refused.message}
            </p>
          )}
          <Card className="space-y-4 p-4">
            <Field label="Name" required maxLength={200} placeholder="High CPU" {...text('name')} />
            <Field
              label="Query"
              required
              list="alert-metrics"
              spellCheck={false}
              placeholder='cpu_usage_percent{env="prod"}'
              hint="One alert for each series that the query returns."
              className="font-mono"
              value={draft.query}
              error={fieldErrors.query}
              onChange={(event) => change({ query: event.target.value })}
            />
            <datalist id="alert-metrics">
              {metrics.data?.data.map((metric) => (
                <option key={metric.name} value={metric.name} />
              ))}
            </datalist>
            <div className="grid grid-cols-[6rem_1fr_6rem] gap-2">
              <Choice
                label="Fires when"
                value={draft.reducer}
                onChange={(event) =>
                  change({ reducer: event.target.value as RuleDraft['reducer'] })
                }
              >
                {REDUCERS.map((reducer) => (
                  <option key={reducer}>{reducer}</option>
                ))}
              </Choice>
              <Choice
                label="Condition"
                value={draft.condition}
                onChange={(event) =>
                  change({ condition: event.target.value as RuleDraft['condition'] })
                }
              >
                {CONDITIONS.map(({ value, text: label }) => (
                  <option key={value} value={value}>
                    {label}
                  </option>
                ))}
              </Choice>
              <Field
                label="Threshold"
                inputMode="decimal"
                required
                placeholder="90"
                value={draft.threshold}
                error={fieldErrors.threshold}
                onChange={(event) => change({ threshold: event.target.value })}
              />
            </div>
            <div className="grid grid-cols-2 gap-2">
              <Field
                label="For"
                placeholder="5m"
                hint="How long the condition must hold."
                {...text('duration')}
              />
              <Field
                label="Over the last"
                placeholder="same as For, at least 1m"
                hint="The evaluation window. Empty: the newest sample, as in PromQL."
                {...text('window')}
              />
            </div>
            <div className="grid grid-cols-2 gap-2">
              <Choice
                label="Severity"
                value={draft.severity}
                onChange={(event) =>
                  change({ severity: event.target.value as RuleDraft['severity'] })
                }
              >
                {SEVERITIES.map(({ value, text: label }) => (
                  <option key={value} value={value}>
                    {label}
                  </option>
                ))}
              </Choice>
              <Choice
                label="When there is no data"
                value={draft.noData}
                onChange={(event) => change({ noData: event.target.value as RuleDraft['noData'] })}
              >
                {NO_DATA.map(({ value, text: label }) => (
                  <option key={value} value={value}>
                    {label}
                  </option>
                ))}
              </Choice>
            </div>
            <div className="grid grid-cols-2 gap-2">
              <Field
                label="Keep firing for"
                placeholder="0s"
                hint="Prevents flapping."
                {...text('keepFiringFor')}
              />
              <Field
                label="Evaluation delay"
                placeholder="0s"
                hint="For data that arrives late."
                {...text('evaluationDelay')}
              />
            </div>
          </Card>
          <RuleNotification draft={draft} fieldErrors={fieldErrors} change={change} />
          <div className="flex justify-end gap-2">
            <Button onClick={() => void navigate({ to: '/alerts' })}>Cancel</Button>
            <Button type="submit" variant="primary">
              Save rule
            </Button>
          </div>
        </div>
        <div className="min-w-0 space-y-4">
          <Card className="p-4">
            <div className="mb-3 flex flex-wrap items-end gap-3">
              <div className="w-32">
                <Choice
                  label="Time range"
                  value={span}
                  onChange={(event) => {
                    setSpan(event.target.value)
                    preview.reset()
                  }}
                >
                  {SPANS.map((value) => (
                    <option key={value}>{value}</option>
                  ))}
                </Choice>
              </div>
              <Button disabled={preview.isPending} onClick={backtest}>
                <HistoryIcon size={15} aria-hidden="true" /> Backtest
              </Button>
              <p className="text-xs text-muted">
                Evaluates the rule over this range as if it had been active.
              </p>
            </div>
            <div className="h-80">
              <ThresholdChart
                query={query}
                threshold={Number.isNaN(threshold) ? null : threshold}
                span={intervalMs(span) ?? 3_600_000}
                changes={preview.data?.data.changes}
              />
            </div>
          </Card>
          {preview.data && <BacktestResult preview={preview.data.data} />}
        </div>
      </form>
    </Page>
  )
}
