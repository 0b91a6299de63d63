import { useMutation } from '@tanstack/react-query'
import { LogOut } from 'lucide-react'
import { type FormEvent, useState } from 'react'
import { toast } from 'sonner'
import { changePasswordMutation } from '@/api/generated/@tanstack/react-query.gen'
import { useSignOut } from '@/components/shell'
import { Button, Card, Field, Page } from '@/components/ui/controls'
import { messageOf } from '@/lib/errors'
import { useUnsaved } from '@/lib/use-unsaved'

export function Account({ email, role }: { email: string; role: string }) {
  const [currentPassword, setCurrent] = useState('')
  const [newPassword, setNew] = useState('')
  const signOut = useSignOut()
  const change = useMutation({
    ...changePasswordMutation(),
    meta: { silent: true },
    onSuccess: () => {
      setCurrent('')
      setNew('')
      toast.success('Password changed. Your other sessions have ended.')
    },
  })
  useUnsaved(currentPassword + newPassword !== '', 'Leave without changing your password?')
  const submit = (event: FormEvent) => {
    event.preventDefault()
    change.mutate({ body: { currentPassword, newPassword } })
  }
  return (
    <Page title="Account">
      <Card className="max-w-md p-5">
        <p className="mb-4 text-muted">
          {email} · {role}
        </p>
        <form onSubmit={submit} className="space-y-4">
          <Field
            label="Current password"
            type="password"
            autoComplete="current-password"
            required
            value={currentPassword}
            onChange={(event) => setCurrent(event.target.value)}
          />
          <Field
            label="New password"
            type="password"
            autoComplete="new-password"
            required
            minLength={10}
            hint="At least 10 characters."
            value={newPassword}
            onChange={(event) => setNew(event.target.value)}
          />
          {change.error && (
            <p role="alert" className="text-sm text-danger">
              {messageOf(change.error)}
            </p>
          )}
          <Button type="submit" variant="primary" disabled={change.isPending}>
            Change password
          </Button>
        </form>
      </Card>
      <Button className="mt-4 sm:hidden" onClick={() => void signOut()}>
        <LogOut size={16} aria-hidden="true" /> Sign out
      </Button>
    </Page>
  )
}
