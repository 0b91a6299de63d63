import { useMutation, useQueryClient } from '@tanstack/react-query'
import { type FormEvent, useEffect, useState } from 'react'
import { loginMutation, loginWithTokenMutation } from '@/api/generated/@tanstack/react-query.gen'
import { Brand, ThemeButton } from '@/components/shell'
import { Button, Card, Field } from '@/components/ui/controls'
import { messageOf } from '@/lib/errors'
import { consumeSignInToken } from '@/lib/sign-in-token'

export function SignIn({ onDone }: { onDone: () => void }) {
  const cache = useQueryClient()
  const [email, setEmail] = useState('')
  const [password, setPassword] = useState('')
  const done = () => {
    cache.clear()
    onDone()
  }
  const login = useMutation({ ...loginMutation(), onSuccess: done, meta: { silent: true } })
  const byLink = useMutation({
    ...loginWithTokenMutation(),
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
    <main className="flex min-h-full items-center justify-center p-4">
      <title>Sign in · Pulseboard</title>
      <div className="absolute top-3 right-3">
        <ThemeButton />
      </div>
      <Card className="w-full max-w-sm p-6">
        <Brand />
        <h1 className="mt-5 mb-4 text-xl font-semibold tracking-tight">Sign in</h1>
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
      </Card>
    </main>
  )
}
