import { useMutation, useQuery } from '@tanstack/react-query'
import { Check, Copy, KeyRound } from 'lucide-react'
import { Tabs } from 'radix-ui'
import { type ReactNode, useState } from 'react'
import { toast } from 'sonner'
import {
  createApiKeyMutation,
  getHealthOptions,
  getMeOptions,
} from '@/api/generated/@tanstack/react-query.gen'
import { Button, Page } from '@/components/ui/controls'
import { messageOf } from '@/lib/errors'
import type { AddDataSearch } from './add-data-search'
import { AGENTS, type Agent, fill } from './agents'
import { FirstSample } from './first-sample'

type Props = { search: AddDataSearch; onSearch: (search: AddDataSearch) => void }

/** The steps to the first sample: choose an agent, create a key, copy its text, see data arrive. */
export function AddDataPage({ search, onSearch }: Props) {
  const me = useQuery(getMeOptions())
  const shown = AGENTS.find(({ id }) => id === search.agent) ?? AGENTS[0]
  // The secret is held by this page only and is lost when the user leaves it.
  const [created, setCreated] = useState<{ id: string; secret: string }>()
  const create = useMutation({
    ...createApiKeyMutation(),
    onSuccess: ({ data }) => {
      setCreated({ id: data.id, secret: data.key })
      onSearch({ ...search, key: data.id })
    },
    meta: { silent: true },
  })
  const mayCreate = me.data && me.data.data.role !== 'viewer'
  const secret = created && created.id === search.key ? created.secret : undefined
  return (
    <Page title="Add data">
      <p className="-mt-2 mb-4 max-w-2xl text-muted">
        Send metrics from the agents you already run: add Pulseboard as a second output.
      </p>
      <Tabs.Root
        orientation="vertical"
        value={shown?.id ?? ''}
        onValueChange={(agent) => onSearch({ ...search, agent })}
        className="grid items-start gap-5 md:grid-cols-[15rem_minmax(0,1fr)]"
      >
        <Tabs.List
          aria-label="Data sources"
          className="flex flex-wrap gap-1.5 md:flex-col md:flex-nowrap"
        >
          {AGENTS.map(({ id, name }) => (
            <Tabs.Trigger
              key={id}
              value={id}
              className="rounded-md border border-line bg-surface px-3 py-2 text-left font-medium hover:bg-raised data-[state=active]:border-accent data-[state=active]:text-accent"
            >
              {name}
            </Tabs.Trigger>
          ))}
        </Tabs.List>
        {AGENTS.map((agent) => (
          <Tabs.Content
            key={agent.id}
            value={agent.id}
            tabIndex={-1}
            className="min-w-0 space-y-5 outline-none"
          >
            <p>{agent.about}</p>
            <Step number={1} title="Create an API key">
              {secret ? (
                <Shown secret={secret} />
              ) : (
                <>
                  <p className="mb-2 text-muted">
                    {search.key
                      ? 'The key was shown once and can no longer be displayed. It still works.'
                      : 'Create a separate key for each sender, so that you can revoke it individually. The key can only send data.'}
                  </p>
                  {mayCreate ? (
                    <Button
                      variant={search.key ? 'plain' : 'primary'}
                      disabled={create.isPending}
                      onClick={() =>
                        create.mutate({ body: { name: agent.name, scopes: ['ingest'] } })
                      }
                    >
                      <KeyRound size={15} aria-hidden="true" />
                      {search.key ? 'Create another key' : 'Create a key'}
                    </Button>
                  ) : (
                    me.data && <p>Viewers can't create keys. Ask an editor or an admin for one.</p>
                  )}
                  {create.error && (
                    <p role="alert" className="mt-2 text-sm text-danger">
                      {messageOf(create.error)}
                    </p>
                  )}
                </>
              )}
            </Step>
            <Step number={2} title="Configure the sender">
              <SetUp agent={agent} secret={secret} />
            </Step>
            <Step number={3} title="Check that data arrives">
              <FirstSample keyId={search.key} />
            </Step>
          </Tabs.Content>
        ))}
      </Tabs.Root>
    </Page>
  )
}

function Step({ number, title, children }: { number: number; title: string; children: ReactNode }) {
  return (
    <section aria-label={title}>
      <h2 className="mb-2 flex items-center gap-2 font-medium">
        <span
          aria-hidden="true"
          className="grid size-6 place-items-center rounded-full bg-raised text-xs font-semibold"
        >
          {number}
        </span>
        {title}
      </h2>
      {children}
    </section>
  )
}

function Shown({ secret }: { secret: string }) {
  return (
    <div className="flex flex-wrap items-center gap-2">
      <code className="min-w-0 rounded-md bg-raised px-3 py-2 text-xs break-all select-all">
        {secret}
      </code>
      <CopyButton label="Copy the key" text={secret} />
      <p className="w-full text-sm text-muted">
        The key is filled in below. Copy it now: it will not be shown again.
      </p>
    </div>
  )
}

function SetUp({ agent, secret }: { agent: Agent; secret: string | undefined }) {
  const health = useQuery({ ...getHealthOptions(), staleTime: Number.POSITIVE_INFINITY })
  const browser = window.location.origin
  const text = fill(agent.text, { browser, agents: health.data?.data.agentUrl ?? browser }, secret)
  return (
    <>
      <div className="mb-2 flex items-end justify-between gap-3">
        <p className="text-muted">{agent.where}</p>
        <CopyButton label="Copy" text={text} />
      </div>
      <section
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard
        tabIndex={0}
        aria-label={`Configuration for ${agent.name}`}
        className="overflow-x-auto rounded-lg border border-line bg-raised p-4 text-xs leading-relaxed"
      >
        <pre>{text}</pre>
      </section>
      {!secret && <p className="mt-1 text-xs text-muted">Replace pb_YOUR_KEY with your key.</p>}
      {agent.after && <p className="mt-2 text-muted">{agent.after}</p>}
    </>
  )
}

function CopyButton({ label, text }: { label: string; text: string }) {
  const [copied, setCopied] = useState<string>()
  const Icon = copied === text ? Check : Copy
  return (
    <Button
      aria-label={label}
      onClick={() =>
        void navigator.clipboard.writeText(text).then(
          () => {
            setCopied(text)
            toast.success('Copied.')
          },
          () => toast.error('Your browser blocked copying. Select the text and copy it manually.'),
        )
      }
    >
      <Icon size={15} aria-hidden="true" /> {copied === text ? 'Copied' : 'Copy'}
    </Button>
  )
}
