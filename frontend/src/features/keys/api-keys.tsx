import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { Copy, Plus } from 'lucide-react'
import { type FormEvent, useState } from 'react'
import { toast } from 'sonner'
import {
  createApiKeyMutation,
  getApiKeysOptions,
  getApiKeysQueryKey,
  getKeyReceivedOptions,
  revokeApiKeyMutation,
} from '@/api/generated/@tanstack/react-query.gen'
import type { ApiKey, Scope } from '@/api/generated/types.gen'
import { Refusals } from '@/components/refusals'
import { Button, Card, Empty, Failure, Field, Page, Skeleton } from '@/components/ui/controls'
import { Dialog } from '@/components/ui/dialog'
import { messageOf } from '@/lib/errors'
import { useChanged } from '@/lib/use-unsaved'

const dateTime = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' })
const SCOPES: { scope: Scope; text: string }[] = [
  { scope: 'ingest', text: 'Send metrics' },
  { scope: 'read', text: 'Read metrics and dashboards' },
  { scope: 'write', text: 'Change dashboards and alerts' },
]

export function ApiKeys() {
  const { data, error, refetch } = useQuery(getApiKeysOptions({ query: { pageSize: 200 } }))
  const [creating, setCreating] = useState(false)
  const [revoking, setRevoking] = useState<ApiKey | null>(null)
  const [shown, setShown] = useState<ApiKey | null>(null)
  const cache = useQueryClient()
  const reload = () => cache.invalidateQueries({ queryKey: getApiKeysQueryKey() })
  const revoke = useMutation({
    ...revokeApiKeyMutation(),
    onSuccess: async () => {
      setRevoking(null)
      toast.success('Key revoked.')
      await reload()
    },
  })
  return (
    <Page
      title="API keys"
      actions={
        <Button variant="primary" onClick={() => setCreating(true)}>
          <Plus size={16} aria-hidden="true" /> New key
        </Button>
      }
    >
      <Card className="overflow-x-auto">
        {error && !data ? (
          <Failure message={messageOf(error)} onRetry={() => void refetch()} />
        ) : !data ? (
          <Skeleton className="m-4 h-24" />
        ) : data.data.length === 0 ? (
          <Empty title="No API keys yet">
            Agents use a key to send metrics. Create one for each agent.
          </Empty>
        ) : (
          <table className="stacked w-full min-w-[40rem] text-left">
            <thead className="text-xs text-muted">
              <tr>
                {['Name', 'Key', 'Scopes', 'Created', 'Last used', 'Actions'].map((heading) => (
                  <th key={heading} className="px-4 py-2.5 font-medium">
                    {heading}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {data.data.map((key) => (
                <tr key={key.id} className="border-t border-line">
                  <td className="line px-4 py-2.5 font-medium">{key.name}</td>
                  <td className="px-4 py-2.5 font-mono text-xs">{key.prefix}…</td>
                  <td className="px-4 py-2.5" data-label="Scopes">
                    {key.scopes.join(', ')}
                  </td>
                  <td className="px-4 py-2.5 text-muted" data-label="Created">
                    {dateTime.format(new Date(key.createdAt))}
                  </td>
                  <td className="px-4 py-2.5 text-muted" data-label="Last used">
                    {key.lastUsedAt ? dateTime.format(new Date(key.lastUsedAt)) : 'Never'}
                  </td>
                  <td className="px-4 py-2.5">
                    <div className="flex items-center gap-2">
                      {key.scopes.includes('ingest') && (
                        <Button
                          aria-label={`Received from ${key.name}`}
                          onClick={() => setShown(key)}
                        >
                          Received
                        </Button>
                      )}
                      {key.revokedAt ? (
                        <span className="text-muted">Revoked</span>
                      ) : (
                        <Button
                          variant="danger"
                          aria-label={`Revoke ${key.name}`}
                          onClick={() => setRevoking(key)}
                        >
                          Revoke
                        </Button>
                      )}
                    </div>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
      </Card>
      {creating && (
        <NewKey
          onClose={() => setCreating(false)}
          onCreated={() => void reload().then(() => refetch())}
        />
      )}
      {shown && <Received of={shown} onClose={() => setShown(null)} />}
      {revoking && (
        <Dialog title={`Revoke ${revoking.name}?`} onClose={() => setRevoking(null)}>
          <p className="mb-5 text-muted">
            Requests with this key will be rejected from now on. This can't be undone.
          </p>
          <div className="flex justify-end gap-2">
            <Button onClick={() => setRevoking(null)}>Cancel</Button>
            <Button
              variant="danger"
              disabled={revoke.isPending}
              onClick={() => revoke.mutate({ path: { key_id: revoking.id } })}
            >
              Revoke key
            </Button>
          </div>
        </Dialog>
      )}
    </Page>
  )
}

function Received({ of, onClose }: { of: ApiKey; onClose: () => void }) {
  const { data, error, dataUpdatedAt, refetch } = useQuery({
    ...getKeyReceivedOptions({ path: { key_id: of.id } }),
    refetchInterval: 10_000,
    staleTime: 0,
  })
  const received = data?.data
  return (
    <Dialog title={`Received from ${of.name}`} wide onClose={onClose}>
      {error && !received ? (
        <Failure message={messageOf(error)} onRetry={() => void refetch()} />
      ) : !received ? (
        <Skeleton className="h-24" />
      ) : received.daySamples == null ? (
        <p className="text-muted">The cache does not respond, so nobody knows.</p>
      ) : (
        <>
          <p className="mb-3">
            {received.daySamples.toLocaleString('en-US')} samples stored in the last day,{' '}
            {(received.dayRefused ?? 0).toLocaleString('en-US')} samples or requests refused.
          </p>
          {received.refused && received.refused.length > 0 && (
            <Refusals refused={received.refused} now={dataUpdatedAt} />
          )}
        </>
      )}
    </Dialog>
  )
}

function NewKey({ onClose, onCreated }: { onClose: () => void; onCreated: () => void }) {
  const [name, setName] = useState('')
  const [scopes, setScopes] = useState<Scope[]>(['ingest'])
  const changed = useChanged([name, scopes])
  const [copied, setCopied] = useState(false)
  const create = useMutation({
    ...createApiKeyMutation(),
    onSuccess: onCreated,
    meta: { silent: true },
  })
  const secret = create.data?.data.key
  const submit = (event: FormEvent) => {
    event.preventDefault()
    create.mutate({ body: { name, scopes } })
  }
  if (secret) {
    return (
      <Dialog
        title="Your new key"
        unsaved={!copied}
        question="Close without having copied the key? It will not be shown again."
        onClose={onClose}
      >
        <p className="mb-3 text-muted">Copy it now: it will not be shown again.</p>
        <code className="mb-5 block rounded-md bg-raised p-3 text-xs break-all select-all">
          {secret}
        </code>
        <div className="flex justify-end gap-2">
          <Button
            onClick={() =>
              void navigator.clipboard.writeText(secret).then(
                () => {
                  setCopied(true)
                  toast.success('Copied.')
                },
                () =>
                  toast.error('Your browser blocked copying. Select the key and copy it manually.'),
              )
            }
          >
            <Copy size={15} aria-hidden="true" /> Copy
          </Button>
          <Button variant="primary" onClick={onClose}>
            Done
          </Button>
        </div>
      </Dialog>
    )
  }
  return (
    <Dialog title="New API key" unsaved={changed} onClose={onClose}>
      <form onSubmit={submit} className="space-y-4">
        <Field
          label="Name"
          required
          maxLength={200}
          placeholder="web servers"
          value={name}
          onChange={(event) => setName(event.target.value)}
        />
        <fieldset>
          <legend className="mb-1 text-sm font-medium">Scopes</legend>
          {SCOPES.map(({ scope, text }) => (
            <label key={scope} className="flex items-center gap-2 py-1">
              <input
                type="checkbox"
                checked={scopes.includes(scope)}
                onChange={(event) =>
                  setScopes(
                    event.target.checked
                      ? [...scopes, scope]
                      : scopes.filter((other) => other !== scope),
                  )
                }
              />
              {text} <span className="text-xs text-muted">{scope}</span>
            </label>
          ))}
        </fieldset>
        {create.error && (
          <p role="alert" className="text-sm text-danger">
            {messageOf(create.error)}
          </p>
        )}
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>Cancel</Button>
          <Button
            type="submit"
            variant="primary"
            disabled={create.isPending || scopes.length === 0}
          >
            Create key
          </Button>
        </div>
      </form>
    </Dialog>
  )
}
