import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { Plus } from 'lucide-react'
import { type FormEvent, useState } from 'react'
import { toast } from 'sonner'
import {
  createUserMutation,
  getMeQueryKey,
  getUsersOptions,
  getUsersQueryKey,
  updateUserMutation,
} from '@/api/generated/@tanstack/react-query.gen'
import type { Role } from '@/api/generated/types.gen'
import { Button, Card, Failure, Field, Page, Select, Skeleton } from '@/components/ui/controls'
import { Dialog } from '@/components/ui/dialog'
import { messageOf } from '@/lib/errors'
import { useChanged } from '@/lib/use-unsaved'

const ROLES: Role[] = ['viewer', 'editor', 'admin']
const isRole = (text: string): text is Role => ROLES.some((role) => role === text)
const dateTime = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' })

export function UsersPage() {
  const cache = useQueryClient()
  const { data, error, refetch } = useQuery(getUsersOptions({ query: { pageSize: 200 } }))
  const [adding, setAdding] = useState(false)
  const update = useMutation({
    ...updateUserMutation(),
    // One after the other: of two quick changes, the last one counts.
    scope: { id: 'users' },
    onSuccess: async () => {
      toast.success("Saved. The user's sessions have ended.")
      await Promise.all(
        [getUsersQueryKey(), getMeQueryKey()].map((queryKey) =>
          cache.invalidateQueries({ queryKey }),
        ),
      )
    },
  })
  return (
    <Page
      title="Users"
      actions={
        <Button variant="primary" onClick={() => setAdding(true)}>
          <Plus size={16} aria-hidden="true" /> New user
        </Button>
      }
    >
      <Card className="overflow-x-auto">
        {error && !data ? (
          <Failure message={messageOf(error)} onRetry={() => void refetch()} />
        ) : !data ? (
          <Skeleton className="m-4 h-24" />
        ) : (
          <table className="stacked w-full min-w-[36rem] text-left">
            <thead className="text-xs text-muted">
              <tr>
                {['Email', 'Role', 'Last sign-in', 'Actions'].map((heading) => (
                  <th key={heading} className="px-4 py-2.5 font-medium">
                    {heading}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {data.data.map((user) => (
                <tr key={user.id} className="border-t border-line">
                  <td className="line px-4 py-2.5 font-medium">
                    {user.email}
                    {user.disabled && <span className="ml-2 text-xs text-muted">disabled</span>}
                  </td>
                  <td className="px-4 py-2.5">
                    <Select
                      label={`Role of ${user.email}`}
                      value={user.role}
                      onChange={(event) => {
                        const role = event.target.value
                        if (isRole(role))
                          update.mutate({ path: { user_id: user.id }, body: { role } })
                      }}
                    >
                      {ROLES.map((role) => (
                        <option key={role}>{role}</option>
                      ))}
                    </Select>
                  </td>
                  <td className="px-4 py-2.5 text-muted" data-label="Last sign-in">
                    {user.lastLoginAt ? dateTime.format(new Date(user.lastLoginAt)) : 'Never'}
                  </td>
                  <td className="px-4 py-2.5">
                    <Button
                      variant={user.disabled ? 'plain' : 'danger'}
                      aria-label={`${user.disabled ? 'Enable' : 'Disable'} ${user.email}`}
                      onClick={() =>
                        update.mutate({
                          path: { user_id: user.id },
                          body: { disabled: !user.disabled },
                        })
                      }
                    >
                      {user.disabled ? 'Enable' : 'Disable'}
                    </Button>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
      </Card>
      {adding && (
        <NewUser
          onClose={() => setAdding(false)}
          onCreated={() => {
            setAdding(false)
            toast.success('User added.')
            void refetch()
          }}
        />
      )}
    </Page>
  )
}

function NewUser({ onClose, onCreated }: { onClose: () => void; onCreated: () => void }) {
  const [email, setEmail] = useState('')
  const [password, setPassword] = useState('')
  const [role, setRole] = useState<Role>('viewer')
  const changed = useChanged([email, password, role])
  const create = useMutation({
    ...createUserMutation(),
    onSuccess: onCreated,
    meta: { silent: true },
  })
  const submit = (event: FormEvent) => {
    event.preventDefault()
    create.mutate({ body: { email, password, role } })
  }
  return (
    <Dialog title="New user" unsaved={changed} onClose={onClose}>
      <form onSubmit={submit} className="space-y-4">
        <Field
          label="Email"
          type="email"
          required
          value={email}
          onChange={(event) => setEmail(event.target.value)}
        />
        <Field
          label="Password"
          type="password"
          autoComplete="new-password"
          required
          minLength={10}
          hint="At least 10 characters. They can change it under Account."
          value={password}
          onChange={(event) => setPassword(event.target.value)}
        />
        <Select
          label="Role"
          value={role}
          onChange={(event) => {
            if (isRole(event.target.value)) setRole(event.target.value)
          }}
        >
          {ROLES.map((name) => (
            <option key={name}>{name}</option>
          ))}
        </Select>
        {create.error && (
          <p role="alert" className="text-sm text-danger">
            {messageOf(create.error)}
          </p>
        )}
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" variant="primary" disabled={create.isPending}>
            Add user
          </Button>
        </div>
      </form>
    </Dialog>
  )
}
