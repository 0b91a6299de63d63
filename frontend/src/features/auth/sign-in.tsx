import { useMutation, useQueryClient } from '@tanstack/react-query'
import { type FormEvent, useEffect, useRef, useState } from 'react'
import { loginMutation, loginWithTokenMutation } from '@/api/generated/@tanstack/react-query.gen'
import { Brand, ThemeButton } from '@/components/shell'
import { Button, Card, Field } from '@/components/ui/controls'
import { isRefused, messageOf } from '@/lib/errors'
import { useSession } from '@/lib/session'
import { consumeSignInToken } from '@/lib/sign-in-token'
import { startAnew } from '@/lib/unsaved-work'

export function SignIn({ onDone }: { onDone: () => void }) {
  return (
    <main className="flex min-h-full items-center justify-center p-4">
      <title>Sign in · Pulseboard</title>
      <div className="absolute top-3 right-3">
        <ThemeButton />
      </div>
      <Card className="w-full max-w-sm p-6">
        <Brand />
        <h1 className="mt-5 mb-4 text-xl font-semibold tracking-tight">Sign in</h1>
        <SignInForm onDone={onDone} />
      </Card>
    </main>
  )
}

/** Signs in over the page whose session has ended; the page and what is typed in it stay. */
export function SignInAgain({ email, onDone }: { email: string; onDone: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null)
  useEffect(() => {
    dialog.current?.showModal()
    dialog.current?.querySelector<HTMLElement>('[type=password]')?.focus()
  }, [])
  return (
    <dialog
      ref={dialog}
      aria-label="Sign in again"
      // A browser lets nobody refuse its second request to close: the dialog is shown again.
      onKeyDown={(event) => event.key === 'Escape' && event.preventDefault()}
      onCancel={(event) => event.preventDefault()}
      onClose={(event) => event.currentTarget.showModal()}
      className="m-auto w-[min(24rem,calc(100vw-2rem))] rounded-xl border border-line bg-surface p-6 text-text shadow-xl backdrop:bg-black/50"
    >
      <h2 className="text-lg font-semibold">Sign in again</h2>
      <p className="mt-1 mb-4 text-sm text-muted">
        Your session has ended. The page stays as it is.
      </p>
      <SignInForm again={email} onDone={onDone} />
    </dialog>
  )
}

function SignInForm({ again, onDone }: { again?: string; onDone: () => void }) {
  const cache = useQueryClient()
  const [email, setEmail] = useState(again ?? '')
  const [password, setPassword] = useState('')
  const done = ({ data }: { data: { email: string } }) => {
    // Nothing of the one who was here before is shown to somebody else, or saved by them.
    if (again !== undefined && data.email !== again) return startAnew()
    if (again === undefined) cache.clear()
    useSession.getState().resume()
    onDone()
  }
  const login = useMutation({ ...loginMutation(), onSuccess: done, meta: { silent: true } })
  const byLink = useMutation({
    ...loginWithTokenMutation(),
    // The link can be followed once: an outage does not use it up.
    retry: (count, error) => count < 5 && !isRefused(error),
    onSuccess: done,
    meta: { silent: true },
  })
  const redeem = byLink.mutate

  useEffect(() => {
    const token = consumeSignInToken()
    if (token) redeem({ body: { token } })
  }, [redeem])

  const submit = (event: FormEvent) => {
    event.preventDefault()
    login.mutate({ body: { email, password } })
  }
  const error = login.error ?? byLink.error
  return (
    <form onSubmit={submit} className="space-y-4">
      <Field
        label="Email"
        type="email"
        autoComplete="username"
        required
        value={email}
        onChange={(event) => setEmail(event.target.value)}
      />
      <Field
        label="Password"
        type="password"
        autoComplete="current-password"
        required
        value={password}
        onChange={(event) => setPassword(event.target.value)}
      />
      {again !== undefined && email.trim() !== again && (
        <p role="status" className="text-sm">
          For somebody else the page opens anew. Changes of dashboards are kept for {again}; what is
          typed in a form is lost.
        </p>
      )}
      {error && (
        <p role="alert" className="text-sm text-danger">
          {messageOf(error)}
        </p>
      )}
      <Button
        type="submit"
        variant="primary"
        className="w-full"
        disabled={login.isPending || byLink.isPending}
      >
        {login.isPending || byLink.isPending ? 'Signing in…' : 'Sign in'}
      </Button>
    </form>
  )
}
