import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { Plus } from 'lucide-react'
import { type FormEvent, useState } from 'react'
import { toast } from 'sonner'
import {
  createAlertChannelMutation,
  deleteAlertChannelMutation,
  getAlertChannelsOptions,
  testAlertChannelMutation,
  updateAlertChannelMutation,
} from '@/api/generated/@tanstack/react-query.gen'
import { getAlertDelivery } from '@/api/generated/sdk.gen'
import type { AlertChannel, CreateAlertChannel } from '@/api/generated/types.gen'
import { Button, Choice, Empty, Field } from '@/components/ui/controls'
import { Dialog } from '@/components/ui/dialog'
import { messageOf } from '@/lib/errors'
import { useChanged } from '@/lib/use-unsaved'
import { Loaded, TableHead } from './loaded'
import { refreshAlerts } from './refresh-alerts'

type Receiver = CreateAlertChannel['receiver']
const KINDS = { webhook: 'Webhook', slack: 'Slack', pagerduty: 'PagerDuty', email: 'Email' }
type Kind = keyof typeof KINDS
const HIDDEN = '**********'

const kindOf = (channel: AlertChannel): Kind => channel.receiver.type ?? 'webhook'

function destinationOf({ receiver }: AlertChannel): string {
  if (receiver.type === 'webhook') return receiver.url
  if (receiver.type === 'email') return receiver.to.join(', ')
  return 'hidden'
}

/** Polls until the notification has been sent or has failed, for half a minute. */
async function outcome(id: string): Promise<string | null> {
  for (let tries = 0; tries < 15; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 2000))
    const { data } = await getAlertDelivery({ path: { delivery_id: id }, throwOnError: true })
    if (data.data.status === 'sent') return null
    if (data.data.lastError) throw new Error(data.data.lastError)
  }
  throw new Error('It was not sent within 30 seconds. Check that the evaluator is running.')
}

export function Channels({ canEdit }: { canEdit: boolean }) {
  const channels = useQuery(getAlertChannelsOptions())
  const [editing, setEditing] = useState<AlertChannel | 'new' | null>(null)
  const cache = useQueryClient()
  const remove = useMutation({
    ...deleteAlertChannelMutation(),
    onSuccess: () => toast.success('Channel deleted.'),
    onSettled: () => refreshAlerts(cache),
  })
  const test = useMutation({
    ...testAlertChannelMutation(),
    onSuccess: ({ data }) => {
      toast.promise(outcome(data.id), {
        loading: 'Sending within ten seconds…',
        success: 'The receiver accepted the test notification.',
        error: (error) => `The test failed: ${messageOf(error)}`,
      })
    },
  })
  return (
    <>
      <div className="mb-3 flex items-center gap-3">
        <p className="mr-auto text-muted">Where notifications go. Secrets are never shown again.</p>
        {canEdit && (
          <Button onClick={() => setEditing('new')}>
            <Plus size={16} aria-hidden="true" /> New channel
          </Button>
        )}
      </div>
      <Loaded of={channels}>
        {({ data }) =>
          data.length === 0 ? (
            <Empty title="No channels yet">
              Create a webhook, Slack, PagerDuty or email channel, test it, and select it in your
              rules.
            </Empty>
          ) : (
            <table className="stacked w-full min-w-[40rem] text-left">
              <TableHead names={['Name', 'Type', 'Destination', 'Used by', 'Actions']} />
              <tbody>
                {data.map((channel) => (
                  <tr key={channel.id} className="border-t border-line">
                    <td className="line px-4 py-2.5 font-medium">{channel.name}</td>
                    <td className="px-4 py-2.5">{KINDS[kindOf(channel)]}</td>
                    <td className="max-w-xs truncate px-4 py-2.5 text-muted">
                      {destinationOf(channel)}
                    </td>
                    <td className="px-4 py-2.5 whitespace-nowrap" data-label="Used by">
                      {channel.usedBy === 1 ? '1 rule' : `${channel.usedBy} rules`}
                    </td>
                    <td className="line px-4 py-2">
                      {canEdit && (
                        <div className="flex gap-2">
                          <Button
                            aria-label={`Test ${channel.name}`}
                            disabled={test.isPending}
                            onClick={() => test.mutate({ path: { channel_id: channel.id } })}
                          >
                            Test
                          </Button>
                          <Button
                            aria-label={`Edit ${channel.name}`}
                            onClick={() => setEditing(channel)}
                          >
                            Edit
                          </Button>
                          <Button
                            variant="danger"
                            aria-label={`Delete ${channel.name}`}
                            onClick={() => remove.mutate({ path: { channel_id: channel.id } })}
                          >
                            Delete
                          </Button>
                        </div>
                      )}
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          )
        }
      </Loaded>
      {editing && (
        <ChannelForm
          channel={editing === 'new' ? undefined : editing}
          onClose={() => setEditing(null)}
        />
      )}
    </>
  )
}

function ChannelForm({ channel, onClose }: { channel?: AlertChannel; onClose: () => void }) {
  const known = channel?.receiver
  const [name, setName] = useState(channel?.name ?? '')
  const [kind, setKind] = useState<Kind>(channel ? kindOf(channel) : 'webhook')
  const [url, setUrl] = useState(known?.type === 'webhook' ? known.url : '')
  const [secret, setSecret] = useState('')
  const [to, setTo] = useState(known?.type === 'email' ? known.to.join(', ') : '')
  const changed = useChanged([name, kind, url, secret, to])
  const cache = useQueryClient()
  const done = async () => {
    await refreshAlerts(cache)
    onClose()
  }
  const create = useMutation({
    ...createAlertChannelMutation(),
    meta: { silent: true },
    onSuccess: done,
  })
  const update = useMutation({
    ...updateAlertChannelMutation(),
    meta: { silent: true },
    onSuccess: done,
  })
  const same = known?.type === kind
  // An empty secret is unchanged: the server recognises the mask.
  const secretOrHidden = secret || (same ? HIDDEN : '')
  const receiver = (): Receiver => {
    switch (kind) {
      case 'slack':
        return { type: 'slack', url: secretOrHidden }
      case 'pagerduty':
        return { type: 'pagerduty', routingKey: secretOrHidden }
      case 'email':
        return { type: 'email', to: to.split(/[,;\s]+/).filter(Boolean) }
      default: {
        const signed = known?.type === 'webhook' && known.secret ? HIDDEN : null
        return { type: 'webhook', url, secret: secret || (same ? signed : null) }
      }
    }
  }
  const submit = (event: FormEvent) => {
    event.preventDefault()
    const body = { name, receiver: receiver() }
    if (channel) update.mutate({ path: { channel_id: channel.id }, body })
    else create.mutate({ body })
  }
  const error = create.error ?? update.error
  const unchanged = same ? 'Leave empty to keep the current value.' : undefined
  return (
    <Dialog
      title={channel ? `Edit ${channel.name}` : 'New channel'}
      unsaved={changed}
      onClose={onClose}
    >
      <form onSubmit={submit} className="space-y-4">
        <Field
          label="Name"
          required
          maxLength={200}
          placeholder="night shift"
          value={name}
          onChange={(event) => setName(event.target.value)}
        />
        <Choice label="Type" value={kind} onChange={(event) => setKind(event.target.value as Kind)}>
          {Object.entries(KINDS).map(([value, text]) => (
            <option key={value} value={value}>
              {text}
            </option>
          ))}
        </Choice>
        {kind === 'webhook' && (
          <>
            <Field
              label="URL"
              type="url"
              required
              placeholder="https://example.com/alerts"
              hint="Receives the webhook payload of Prometheus Alertmanager (version 4)."
              value={url}
              onChange={(event) => setUrl(event.target.value)}
            />
            <Field
              label="Signing secret"
              type="password"
              autoComplete="off"
              hint={
                unchanged ?? 'Optional. Signs each request, so that the receiver can verify it.'
              }
              value={secret}
              onChange={(event) => setSecret(event.target.value)}
            />
          </>
        )}
        {kind === 'slack' && (
          <Field
            label="Webhook URL"
            type="password"
            autoComplete="off"
            required={!same}
            placeholder="https://hooks.slack.com/services/…"
            hint={unchanged}
            value={secret}
            onChange={(event) => setSecret(event.target.value)}
          />
        )}
        {kind === 'pagerduty' && (
          <Field
            label="Integration key"
            type="password"
            autoComplete="off"
            required={!same}
            hint={unchanged ?? 'From an Events API v2 integration.'}
            value={secret}
            onChange={(event) => setSecret(event.target.value)}
          />
        )}
        {kind === 'email' && (
          <Field
            label="Addresses"
            required
            placeholder="ops@example.com, night@example.com"
            value={to}
            onChange={(event) => setTo(event.target.value)}
          />
        )}
        {error && (
          <p role="alert" className="text-sm text-danger">
            {messageOf(error)}
          </p>
        )}
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" variant="primary" disabled={create.isPending || update.isPending}>
            Save
          </Button>
        </div>
      </form>
    </Dialog>
  )
}
