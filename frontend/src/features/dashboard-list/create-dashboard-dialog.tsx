import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { type FormEvent, useState } from 'react'
import { createDashboard } from '@/api/generated/sdk.gen'
import { zCreateDashboard } from '@/api/generated/zod.gen'
import { Area, Button, Check, Field } from '@/components/ui/controls'
import { Dialog } from '@/components/ui/dialog'
import { useChanged } from '@/lib/use-unsaved'
import { errorsByField } from '@/lib/validation-errors'

export function CreateDashboardDialog({ onClose }: { onClose: () => void }) {
  const [name, setName] = useState('')
  const [description, setDescription] = useState('')
  const [isPublic, setPublic] = useState(false)
  const [fieldErrors, setFieldErrors] = useState<Record<string, string>>({})
  const changed = useChanged([name, description, isPublic])
  const navigate = useNavigate()
  const cache = useQueryClient()
  const create = useMutation({
    mutationFn: async () => {
      const body = { name: name.trim(), description, isPublic }
      return (await createDashboard({ body, throwOnError: true })).data.data
    },
    onSuccess: async (board) => {
      void cache.invalidateQueries({ queryKey: [{ _id: 'getDashboards' }] })
      await navigate({
        to: '/dashboards/$id',
        params: { id: board.id },
        search: { edit: '1' },
        ignoreBlocker: true,
      })
    },
  })
  const submit = (event: FormEvent) => {
    event.preventDefault()
    const checked = zCreateDashboard.safeParse({ name: name.trim(), description, isPublic })
    setFieldErrors(checked.success ? {} : errorsByField(checked.error))
    if (checked.success) create.mutate()
  }
  return (
    <Dialog title="New dashboard" unsaved={changed} onClose={onClose}>
      <form onSubmit={submit} noValidate className="space-y-4">
        <Field
          label="Name"
          value={name}
          error={fieldErrors.name && 'Enter a name of at most 200 characters.'}
          onChange={(event) => setName(event.target.value)}
        />
        <Area
          label="Description"
          value={description}
          error={fieldErrors.description}
          onChange={(event) => setDescription(event.target.value)}
        />
        <Check
          label="Public"
          hint="Everyone who signs in can see it."
          checked={isPublic}
          onChange={(event) => setPublic(event.target.checked)}
        />
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" variant="primary" disabled={create.isPending}>
            Create dashboard
          </Button>
        </div>
      </form>
    </Dialog>
  )
}
