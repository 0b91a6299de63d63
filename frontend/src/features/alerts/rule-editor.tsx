import { useMutation, useQuery } from '@tanstack/react-query'
import { useLocation, useNavigate } from '@tanstack/react-router'
import { type FormEvent, useDeferredValue, useRef, useState } from 'react'
import { toast } from 'sonner'
import {
  getAlertRuleOptions,
  listMetricsOptions,
  previewAlertRuleMutation,
} from '@/api/generated/@tanstack/react-query.gen'
import type { AlertRule } from '@/api/generated/types.gen'
import { zCreateAlertRule } from '@/api/generated/zod.gen'
import { ErrorBoundary } from '@/components/error-boundary'
import { Button, Card, Choice, Failure, Field, Page, Skeleton } from '@/components/ui/controls'
import { messageOf } from '@/lib/errors'
import { useUnsaved } from '@/lib/use-unsaved'
import { errorsByField, serverErrorsByField } from '@/lib/validation-errors'
import type { NewRuleSearch } from './alerts-search'
import { BacktestRange, FIRST_SPAN, rangeOf, spanMs } from './backtest-range'
import { BacktestResult } from './backtest-result'
import { CONDITIONS, readLabels, SEVERITIES } from './labels'
import { bodyOf, draftOf, EMPTY_DRAFT, isReturned, type RuleDraft } from './rule-draft'
import { RuleNotification } from './rule-notification'
import { unknownNames } from './template-names'
import { ThresholdChart, useRuleQuery } from './threshold-chart'
import { useChangingRules } from './use-rules'
import { useSaveRule } from './use-save-rule'

const REDUCERS = ['last', 'avg', 'min', 'max', 'sum'] as const
const NO_DATA = [
  { value: 'keep_state', text: 'Keep state' },
  { value: 'ok', text: 'OK' },
  { value: 'alert', text: 'Alert' },
] as const

export function EditRule({ id }: { id: string }) {
  const { data, error, refetch } = useQuery(getAlertRuleOptions({ path: { rule_id: id } }))
  const saving = useChangingRules().has(id)
  const opened = useRef(false)
  // An earlier change that has no response yet is waited for: it may still be refused.
  if (data && !saving) opened.current = true
  if (data && opened.current) return <RuleEditor key={data.data.id} rule={data.data} />
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
  const [opened, setOpened] = useState(rule)
  const [start, setStart] = useState<RuleDraft>(
    () => refused?.draft ?? (rule ? draftOf(rule) : initial),
  )
  const [draft, setDraft] = useState(start)
  const changed = JSON.stringify(draft) !== JSON.stringify(start)
  if (rule && rule.version !== opened?.version && !changed) {
    // What somebody else has saved is taken over until one types; then saving is a conflict.
    const newest = refused ? draft : draftOf(rule)
    setOpened(rule)
    setStart(newest)
    setDraft(newest)
  }
  const letGo = useUnsaved(changed || refused !== undefined, 'Leave without saving this rule?')
  const [fieldErrors, setFieldErrors] = useState<Record<string, string>>(refused?.fieldErrors ?? {})
  const [span, setSpan] = useState(FIRST_SPAN)
  const navigate = useNavigate()
  const save = useSaveRule(opened)
  const query = useDeferredValue(draft.query)
  const metrics = useQuery({
    ...listMetricsOptions({ query: { prefix: /^[\w:.]*/.exec(query)?.[0] ?? '', pageSize: 50 } }),
    placeholderData: (before) => before,
    staleTime: 30_000,
  })
  const result = useRuleQuery(query, spanMs(span)).data?.data
  const unknown = unknownNames(draft, result?.series ?? [])
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
      ...(Number.isNaN(body.threshold ?? 0) ? { threshold: 'Enter a number.' } : {}),
      ...(Math.abs(body.threshold ?? 0) === Number.POSITIVE_INFINITY
        ? { threshold: 'Enter a number within ±1e308.' }
        : {}),
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
    if (!body) return
    letGo()
    save(draft, body)
  }
  const backtest = () => {
    const body = checked()
    if (!body) return
    preview.mutate({ body: { rule: body, ...rangeOf(span) } }, { onError: failed })
  }
  const text = (field: 'name' | 'duration' | 'window' | 'keepFiringFor' | 'evaluationDelay') => ({
    value: draft[field],
    error: fieldErrors[field],
    onChange: (event: { target: { value: string } }) => change({ [field]: event.target.value }),
  })
  const returned = isReturned(draft)
  const threshold = bodyOf(draft).threshold ?? Number.NaN
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
              hint={
                returned
                  ? 'PromQL with its own comparisons: each series that it returns is an alert.'
                  : 'One alert for each series that the query returns.'
              }
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
            <div className={returned ? undefined : 'grid grid-cols-[6rem_1fr_6rem] gap-2'}>
              {!returned && (
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
              )}
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
              {!returned && (
                <Field
                  label="Threshold"
                  inputMode="decimal"
                  required
                  placeholder="90"
                  value={draft.threshold}
                  error={fieldErrors.threshold}
                  onChange={(event) => change({ threshold: event.target.value })}
                />
              )}
            </div>
            <div className="grid grid-cols-2 gap-2">
              <Field
                label="For"
                placeholder="5m"
                hint="How long the condition must hold."
                {...text('duration')}
              />
              {!returned && (
                <Field
                  label="Over the last"
                  placeholder="newest sample"
                  hint="The evaluation window. Empty: the newest sample, as in PromQL."
                  {...text('window')}
                />
              )}
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
              {!returned && (
                <Choice
                  label="When there is no data"
                  value={draft.noData}
                  onChange={(event) =>
                    change({ noData: event.target.value as RuleDraft['noData'] })
                  }
                >
                  {NO_DATA.map(({ value, text: label }) => (
                    <option key={value} value={value}>
                      {label}
                    </option>
                  ))}
                </Choice>
              )}
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
          <RuleNotification
            draft={draft}
            fieldErrors={fieldErrors}
            change={change}
            unknown={unknown}
          />
          <div className="flex justify-end gap-2">
            <Button
              onClick={() => {
                letGo()
                void navigate({ to: '/alerts' })
              }}
            >
              Cancel
            </Button>
            <Button type="submit" variant="primary">
              Save rule
            </Button>
          </div>
        </div>
        <div className="min-w-0 space-y-4">
          <Card className="p-4">
            <div className="mb-3">
              <BacktestRange
                span={span}
                pending={preview.isPending}
                onSpan={(value) => {
                  setSpan(value)
                  preview.reset()
                }}
                onBacktest={backtest}
              >
                <p className="text-xs text-muted">
                  Evaluates the rule over this range as if it had been active.
                </p>
              </BacktestRange>
            </div>
            <div className="h-80">
              <ErrorBoundary shown={draft}>
                <ThresholdChart
                  query={query}
                  threshold={Number.isFinite(threshold) ? threshold : null}
                  empty={returned ? 'The query returned nothing: no alert fires.' : undefined}
                  span={spanMs(span)}
                  changes={preview.data?.data.changes}
                />
              </ErrorBoundary>
            </div>
          </Card>
          {preview.data && (
            <ErrorBoundary shown={preview.data}>
              <BacktestResult preview={preview.data.data} />
            </ErrorBoundary>
          )}
        </div>
      </form>
    </Page>
  )
}
