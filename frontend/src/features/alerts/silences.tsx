import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { Plus } from 'lucide-react'
import { type FormEvent, useState } from 'react'
import {
  createAlertSilenceMutation,
  endAlertSilenceMutation,
  getAlertSilencesOptions,
} from '@/api/generated/@tanstack/react-query.gen'
import type { MatchOperator } from '@/api/generated/types.gen'
import { Button, Choice, Empty, Field } from '@/components/ui/controls'
import { Dialog } from '@/components/ui/dialog'
import { messageOf } from '@/lib/errors'
import { useChanged } from '@/lib/use-unsaved'
import { POLL, SILENCE_DURATIONS } from './labels'
import { Loaded, TableHead } from './loaded'
import { refreshAlerts } from './refresh-alerts'
import { QuietBadge } from './state-badge'

const dateTime = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' })
const OPERATORS: MatchOperator[] = ['=', '!=', '=~', '!~']

export function Silences({ canEdit }: { canEdit: boolean }) {
  const silences = useQuery({
    ...getAlertSilencesOptions({ query: { ended: true, pageSize: 100 } }),
    refetchInterval: POLL,
    refetchIntervalInBackground: false,
  })
  const [creating, setCreating] = useState(false)
  const cache = useQueryClient()
  const end = useMutation({
    ...endAlertSilenceMutation(),
    onSettled: () => refreshAlerts(cache),
  })
  return (
    <>
      <div className="mb-3 flex items-center gap-3">
        <p className="mr-auto text-muted">
          Silenced alerts are still evaluated, but no notifications are sent until the silence ends.
        </p>
        {canEdit && (
          <Button onClick={() => setCreating(true)}>
            <Plus size={16} aria-hidden="true" /> New silence
          </Button>
        )}
      </div>
      <Loaded of={silences}>
        {({ data }) =>
          data.length === 0 ? (
            <Empty title="No silences" />
          ) : (
            <table className="stacked w-full min-w-[40rem] text-left">
              <TableHead names={['State', 'Matchers', 'Until', 'By', 'Comment', 'Actions']} />
              <tbody>
                {data.map((silence) => {
                  const past = new Date(silence.endsAt).getTime() <= Date.now()
                  return (
                    <tr key={silence.id} className="border-t border-line">
                      <td className="px-4 py-2.5">
                        <QuietBadge>
                          {silence.active ? 'Active' : past ? 'Ended' : 'Scheduled'}
                        </QuietBadge>
                      </td>
                      <td className="line px-4 py-2.5 font-mono text-xs">
                        {silence.matchers
                          .map(({ label, operator, value }) => `${label}${operator}"${value}"`)
                          .join(' and ')}
                      </td>
                      <td className="px-4 py-2.5 whitespace-nowrap" data-label="Until">
                        {dateTime.format(new Date(silence.endsAt))}
                      </td>
                      <td className="px-4 py-2.5 text-muted" data-label="By">
                        {silence.author ?? 'unknown'}
                      </td>
                      <td className="line px-4 py-2.5">{silence.comment}</td>
                      <td className="px-4 py-2">
                        {canEdit && !past && (
                          <Button onClick={() => end.mutate({ path: { silence_id: silence.id } })}>
                            End now
                          </Button>
                        )}
                      </td>
                    </tr>
                  )
                })}
              </tbody>
            </table>
          )
        }
      </Loaded>
      {creating && <NewSilence onClose={() => setCreating(false)} />}
    </>
  )
}

type Row = { id: number; label: string; operator: MatchOperator; value: string }

function NewSilence({ onClose }: { onClose: () => void }) {
  const [rows, setRows] = useState<Row[]>([{ id: 0, label: 'alertname', operator: '=', value: '' }])
  const [hours, setHours] = useState(4)
  const [comment, setComment] = useState('')
  const changed = useChanged([rows, hours, comment])
  const cache = useQueryClient()
  const create = useMutation({
    ...createAlertSilenceMutation(),
    meta: { silent: true },
    onSuccess: async () => {
      await refreshAlerts(cache)
      onClose()
    },
  })
  const change = (id: number, part: Partial<Row>) =>
    setRows(rows.map((row) => (row.id === id ? { ...row, ...part } : row)))
  const submit = (event: FormEvent) => {
    event.preventDefault()
    create.mutate({
      body: {
        matchers: rows.map(({ label, operator, value }) => ({ label, operator, value })),
        endsAt: new Date(Date.now() + hours * 3_600_000).toISOString(),
        comment,
      },
    })
  }
  return (
    <Dialog title="New silence" wide unsaved={changed} onClose={onClose}>
      <form onSubmit={submit} className="space-y-4">
        <fieldset className="space-y-2">
          <legend className="mb-1 text-sm font-medium">
            Match alerts that meet all conditions
          </legend>
          {rows.map((row, index) => (
            <div key={row.id} className="grid grid-cols-[1fr_5rem_1fr_auto] items-end gap-2">
              <Field
                label="Label"
                required
                placeholder="host"
                value={row.label}
                onChange={(event) => change(row.id, { label: event.target.value })}
              />
              <Choice
                label="Operator"
                value={row.operator}
                onChange={(event) =>
                  change(row.id, { operator: event.target.value as MatchOperator })
                }
              >
                {OPERATORS.map((operator) => (
                  <option key={operator}>{operator}</option>
                ))}
              </Choice>
              <Field
                label="Value"
                placeholder="web-1"
                value={row.value}
                onChange={(event) => change(row.id, { value: event.target.value })}
              />
              <Button
                aria-label={`Remove condition ${index + 1}`}
                disabled={rows.length === 1}
                onClick={() => setRows(rows.filter((other) => other.id !== row.id))}
              >
                Remove
              </Button>
            </div>
          ))}
          <Button
            onClick={() =>
              setRows([...rows, { id: Date.now(), label: 'host', operator: '=', value: '' }])
            }
          >
            Add a condition
          </Button>
        </fieldset>
        <Choice
          label="For"
          value={hours}
          onChange={(event) => setHours(Number(event.target.value))}
        >
          {SILENCE_DURATIONS.map(({ hours: value, text }) => (
            <option key={value} value={value}>
              {text}
            </option>
          ))}
        </Choice>
        <Field
          label="Comment"
          maxLength={1000}
          placeholder="Reason and contact"
          value={comment}
          onChange={(event) => setComment(event.target.value)}
        />
        {create.error && (
          <p role="alert" className="text-sm text-danger">
            {messageOf(create.error)}
          </p>
        )}
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" variant="primary" disabled={create.isPending}>
            Silence
          </Button>
        </div>
      </form>
    </Dialog>
  )
}
