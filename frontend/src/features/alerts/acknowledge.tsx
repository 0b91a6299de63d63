import { useMutation, useQueryClient } from '@tanstack/react-query'
import { Hand } from 'lucide-react'
import { type FormEvent, useState } from 'react'
import { toast } from 'sonner'
import {
  acknowledgeAlertMutation,
  withdrawAcknowledgementMutation,
} from '@/api/generated/@tanstack/react-query.gen'
import type { AlertAcknowledgement } from '@/api/generated/types.gen'
import { Button, Choice, Field } from '@/components/ui/controls'
import { Dialog } from '@/components/ui/dialog'
import { SILENCE_DURATIONS } from './labels'
import { refreshAlerts } from './refresh-alerts'

const dateTime = new Intl.DateTimeFormat(undefined, { dateStyle: 'short', timeStyle: 'short' })

/** Who takes care of an alert, until when, and their note. */
export function Acknowledged({ given }: { given: AlertAcknowledgement | null }) {
  if (!given) return null
  const until = given.until ? ` until ${dateTime.format(new Date(given.until))}` : ''
  return (
    <p className="text-xs text-muted">
      Acknowledged by {given.by ?? 'a deleted user'}
      {until}
      {given.note && `: ${given.note}`}
    </p>
  )
}

type Props = {
  eventId: string
  /** The alert, for screen readers and the dialog's title. */
  what: string
  given: AlertAcknowledgement | null
}

/** Takes care of a firing alert, or gives that up: until then nobody is notified of it again. */
export function AcknowledgeButton({ eventId, what, given }: Props) {
  const cache = useQueryClient()
  const [open, setOpen] = useState(false)
  const [hours, setHours] = useState('')
  const [note, setNote] = useState('')
  const close = () => {
    setOpen(false)
    setHours('')
    setNote('')
  }
  const refresh = () => {
    close()
    return refreshAlerts(cache)
  }
  const acknowledge = useMutation({
    ...acknowledgeAlertMutation(),
    onSuccess: () => {
      toast.success('Acknowledged.')
      return refresh()
    },
  })
  const withdraw = useMutation({ ...withdrawAcknowledgementMutation(), onSuccess: refresh })
  const path = { event_id: eventId }
  const submit = (event: FormEvent) => {
    event.preventDefault()
    const until = hours ? new Date(Date.now() + Number(hours) * 3_600_000).toISOString() : null
    acknowledge.mutate({ path, body: { until, note: note.trim() } })
  }
  if (given) {
    return (
      <Button
        aria-label={`Withdraw acknowledgement of ${what}`}
        disabled={withdraw.isPending}
        onClick={() => withdraw.mutate({ path })}
      >
        Withdraw
      </Button>
    )
  }
  return (
    <>
      <Button aria-label={`Acknowledge ${what}`} onClick={() => setOpen(true)}>
        <Hand size={15} aria-hidden="true" /> <span className="max-sm:hidden">Acknowledge</span>
      </Button>
      {open && (
        <Dialog title={`Acknowledge ${what}`} unsaved={note !== '' || hours !== ''} onClose={close}>
          <form onSubmit={submit} className="space-y-4">
            <p className="text-sm text-muted">
              Nobody is notified again while it fires. That it has resolved is notified.
            </p>
            <Choice label="Until" value={hours} onChange={(event) => setHours(event.target.value)}>
              <option value="">It resolves</option>
              {SILENCE_DURATIONS.map(({ hours: value, text }) => (
                <option key={value} value={value}>
                  {text} from now
                </option>
              ))}
            </Choice>
            <Field
              label="Note"
              maxLength={1000}
              placeholder="Replacing the disk"
              value={note}
              onChange={(event) => setNote(event.target.value)}
            />
            <div className="flex justify-end gap-2">
              <Button onClick={close}>Cancel</Button>
              <Button type="submit" variant="primary" disabled={acknowledge.isPending}>
                Acknowledge
              </Button>
            </div>
          </form>
        </Dialog>
      )}
    </>
  )
}
