import { useMutation, useQueryClient } from '@tanstack/react-query'
import { type FormEvent, useDeferredValue, useState } from 'react'
import { toast } from 'sonner'
import {
  backfillRecordingRuleMutation,
  createRecordingRuleMutation,
  previewRecordingRuleMutation,
  updateRecordingRuleMutation,
} from '@/api/generated/@tanstack/react-query.gen'
import type { CreateRecordingRule, RecordingRule } from '@/api/generated/types.gen'
import { zCreateRecordingRule } from '@/api/generated/zod.gen'
import { ErrorBoundary } from '@/components/error-boundary'
import { Area, Button, Field } from '@/components/ui/controls'
import { Dialog } from '@/components/ui/dialog'
import { messageOf } from '@/lib/errors'
import { useChanged } from '@/lib/use-unsaved'
import { errorsByField, serverErrorsByField } from '@/lib/validation-errors'
import { BacktestRange, FIRST_SPAN, rangeOf, spanMs } from './backtest-range'
import { formatNumber, formatTags, readLabels, writeLabels } from './labels'
import { refreshAlerts } from './refresh-alerts'
import { ThresholdChart } from './threshold-chart'

type Props = { rule?: RecordingRule; canEdit: boolean; onClose: () => void }

/** A new or existing recording rule, with its live chart, what it would have written, and backfill. */
export function RecordingEditor({ rule, canEdit, onClose }: Props) {
  const [draft, setDraft] = useState({
    name: rule?.name ?? '',
    query: rule?.query ?? '',
    group: rule?.group ?? '',
    position: String(rule?.position ?? 0),
    labels: writeLabels(rule?.labels ?? {}),
  })
  const changed = useChanged(draft)
  const [span, setSpan] = useState(FIRST_SPAN)
  const [errors, setErrors] = useState<Record<string, string>>({})
  const cache = useQueryClient()
  const query = useDeferredValue(draft.query)
  const silent = { meta: { silent: true } }
  const create = useMutation({ ...createRecordingRuleMutation(), ...silent })
  const update = useMutation({ ...updateRecordingRuleMutation(), ...silent })
  const preview = useMutation({ ...previewRecordingRuleMutation(), ...silent })
  const backfill = useMutation({ ...backfillRecordingRuleMutation(), ...silent })
  const change = (part: Partial<typeof draft>) => {
    setDraft({ ...draft, ...part })
    preview.reset()
  }
  const checked = (): CreateRecordingRule | null => {
    const labels = readLabels(draft.labels)
    const body = {
      name: draft.name.trim(),
      query: draft.query.trim(),
      group: draft.group.trim(),
      position: draft.position.trim() === '' ? Number.NaN : Number(draft.position),
      labels: labels.labels,
    }
    const found = zCreateRecordingRule.safeParse(body)
    const wrong = {
      ...(found.success ? {} : errorsByField(found.error)),
      ...(Number.isInteger(body.position) && body.position >= 0
        ? {}
        : { position: 'Enter a whole number from 0 on.' }),
      ...(labels.error ? { labels: labels.error } : {}),
    }
    setErrors(wrong)
    return Object.keys(wrong).length === 0 ? body : null
  }
  const failed = (error: unknown) => {
    setErrors(serverErrorsByField(error))
    toast.error(messageOf(error))
  }
  const saved = () => {
    void refreshAlerts(cache)
    toast.success(`${draft.name.trim()} saved. It is evaluated at the interval of its group.`)
    onClose()
  }
  const submit = (event: FormEvent) => {
    event.preventDefault()
    const body = checked()
    if (!body) return
    const done = { onSuccess: saved, onError: failed }
    if (rule) {
      const path = { rule_id: rule.id }
      update.mutate({ path, body: { ...body, version: rule.version } }, done)
    } else create.mutate({ body }, done)
  }
  const backtest = () => {
    const body = checked()
    if (body) preview.mutate({ body: { rule: body, ...rangeOf(span) } }, { onError: failed })
  }
  const fill = (stored: RecordingRule) =>
    backfill.mutate(
      { path: { rule_id: stored.id }, body: rangeOf(span) },
      {
        onSuccess: ({ data }) =>
          toast.success(`${data.samples} samples of ${data.series} series are there now.`),
        onError: failed,
      },
    )
  const field = (name: 'name' | 'query' | 'group' | 'position') => ({
    value: draft[name],
    error: errors[name],
    disabled: !canEdit,
    onChange: (event: { target: { value: string } }) => change({ [name]: event.target.value }),
  })
  const found = preview.data?.data
  return (
    <Dialog
      wide
      unsaved={changed && canEdit}
      title={rule ? `Recording rule ${rule.name}` : 'New recording rule'}
      onClose={onClose}
    >
      <form onSubmit={submit} className="space-y-4" noValidate>
        <Field
          label="Metric"
          required
          placeholder="job:requests:rate5m"
          className="font-mono"
          {...field('name')}
        />
        <Field
          label="Query"
          required
          spellCheck={false}
          placeholder="sum by (job) (rate(requests_total[5m]))"
          hint="Each series that it returns is written, with its labels."
          className="font-mono"
          {...field('query')}
        />
        <div className="grid grid-cols-2 gap-2">
          <Field label="Group" hint="Its rules are evaluated in order." {...field('group')} />
          <Field label="Position in the group" inputMode="numeric" {...field('position')} />
        </div>
        <Area
          label="Labels"
          hint="key=value, one per line. They replace those of the query."
          rows={2}
          value={draft.labels}
          error={errors.labels}
          disabled={!canEdit}
          onChange={(event) => change({ labels: event.target.value })}
        />
        <BacktestRange
          span={span}
          pending={preview.isPending}
          onSpan={(value) => {
            setSpan(value)
            preview.reset()
          }}
          onBacktest={backtest}
        >
          {rule && canEdit && (
            <Button disabled={backfill.isPending} onClick={() => fill(rule)}>
              Backfill
            </Button>
          )}
          <p className="text-xs text-muted">
            A backfill writes what the saved rule would have written; stored samples stay.
          </p>
        </BacktestRange>
        <div className="h-56">
          <ErrorBoundary shown={draft}>
            <ThresholdChart
              query={query}
              threshold={null}
              span={spanMs(span)}
              empty="The query returned nothing in this range."
            />
          </ErrorBoundary>
        </div>
        {found && (
          <section aria-label="Backtest" aria-live="polite" className="text-sm">
            <p className="font-medium">
              It would have written {found.samples.toLocaleString('en-US')} samples of{' '}
              {found.series.toLocaleString('en-US')} series.
            </p>
            <p className="text-xs text-muted">
              {found.evaluations.toLocaleString('en-US')} evaluations in{' '}
              {Math.round(found.durationMs)} ms. {found.notes.join(' ')}
            </p>
            <ul className="mt-2 max-h-40 space-y-1 overflow-y-auto">
              {found.lines.map((line) => (
                <li key={formatTags(line.tags)} className="flex gap-3">
                  <span className="min-w-0 font-mono text-xs break-all">
                    {formatTags(line.tags) || 'no labels'}
                  </span>
                  <span className="ml-auto tabular-nums">{formatNumber(line.last)}</span>
                </li>
              ))}
            </ul>
          </section>
        )}
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>{canEdit ? 'Cancel' : 'Close'}</Button>
          {canEdit && (
            <Button type="submit" variant="primary" disabled={create.isPending || update.isPending}>
              Save rule
            </Button>
          )}
        </div>
      </form>
    </Dialog>
  )
}
