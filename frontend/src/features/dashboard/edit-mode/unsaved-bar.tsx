import { type ReactNode, useState } from 'react'
import { useStore } from 'zustand'
import { Button } from '@/components/ui/controls'
import { messageOf } from '@/lib/errors'
import { isWaiting } from './draft'
import type { Editing } from './use-draft'

type Props = { editing: Editing; onResolved?: (how: 'reloaded' | 'saved') => void }

/** Says why changes are not saved, and what can be done: nothing is lost until the user decides. */
export function UnsavedBar({ editing, onResolved }: Props) {
  const { store, saver } = editing
  const state = useStore(store, (draft) => draft.state)
  const reason = useStore(store, (draft) => draft.failure)
  const unkept = useStore(store, (draft) => draft.unkept)
  const [busy, setBusy] = useState(false)
  const [failure, setFailure] = useState<string>()
  if (state !== 'conflict' && !isWaiting(state)) return null
  const resolve = async (how: () => Promise<void>) => {
    setBusy(true)
    setFailure(undefined)
    try {
      await how()
    } catch (error) {
      setFailure(messageOf(error))
    }
    setBusy(false)
  }
  const reload = async () => {
    await saver.reload()
    onResolved?.('reloaded')
  }
  const save = (how: () => ReturnType<typeof saver.flush>) => async () => {
    const outcome = await how()
    if (outcome === 'saved' || outcome === 'nothing') onResolved?.('saved')
  }
  const room = unkept && ' This browser has no room to keep them: leave this page open until then.'
  const act = (label: string, how: () => Promise<void>, primary = false) => (
    <Button
      disabled={busy}
      variant={primary ? 'primary' : 'plain'}
      onClick={() => void resolve(how)}
    >
      {label}
    </Button>
  )
  if (state === 'conflict')
    return (
      <Bar
        text={
          <>
            <strong className="font-medium">Someone else has changed this dashboard.</strong> Your
            changes are not saved. Overwrite applies them on top of theirs; Reload discards them.
            {room}
          </>
        }
        failure={failure}
      >
        {act('Reload', reload)}
        {act('Overwrite', save(saver.overwrite), true)}
      </Bar>
    )
  const wait =
    state === 'offline'
      ? 'They are saved once the connection is back.'
      : state === 'signed-out'
        ? 'They are saved once you have signed in.'
        : state === 'retrying'
          ? `${reason ?? ''} They are saved as soon as it works.`
          : (reason ?? '')
  return (
    <Bar
      text={
        <>
          <strong className="font-medium">Your changes are not saved.</strong> {wait}
          {room}
        </>
      }
      failure={failure}
    >
      {state === 'refused' &&
        act('Discard changes', async () => {
          saver.discard()
          onResolved?.('reloaded')
        })}
      {(state === 'refused' || state === 'retrying') && act('Try again', save(saver.flush), true)}
    </Bar>
  )
}

type BarProps = { text: ReactNode; failure: string | undefined; children: ReactNode }

function Bar({ text, failure, children }: BarProps) {
  return (
    <div
      role="alert"
      className="mb-3 flex flex-wrap items-center gap-2 rounded-lg border border-danger bg-surface p-3"
    >
      <p className="mr-auto max-w-prose text-sm">{text}</p>
      {failure && <p className="text-sm text-danger">{failure}</p>}
      {children}
    </div>
  )
}
