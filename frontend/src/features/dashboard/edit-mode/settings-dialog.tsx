import { useMutation, useQueryClient } from '@tanstack/react-query'
import { type FormEvent, useState } from 'react'
import { toast } from 'sonner'
import { updateDashboard } from '@/api/generated/sdk.gen'
import type { Dashboard, DashboardSettings } from '@/api/generated/types.gen'
import { zUpdateDashboard } from '@/api/generated/zod.gen'
import { Area, Button, Check, Choice, Field } from '@/components/ui/controls'
import { Dialog } from '@/components/ui/dialog'
import { Tabs } from '@/components/ui/tabs'
import { isApiError } from '@/lib/errors'
import { QUICK_RANGES } from '@/lib/time-range'
import { useChanged } from '@/lib/use-unsaved'
import { errorsByField } from '@/lib/validation-errors'
import { type Editing, putInCache } from './use-draft'
import { VariablesEditor } from './variables-editor'

const REFRESHES = ['5s', '10s', '30s', '1m', '5m', '15m']

type Props = { board: Dashboard; editing: Editing | undefined; onClose: () => void }

export function SettingsDialog({ board, editing, onClose }: Props) {
  const cache = useQueryClient()
  const [name, setName] = useState(board.name)
  const [description, setDescription] = useState(board.description)
  const [isPublic, setPublic] = useState(board.isPublic)
  const [settings, setSettings] = useState(board.settings)
  const changed = useChanged([name, description, isPublic, settings])
  const [fieldErrors, setFieldErrors] = useState<Record<string, string>>({})
  const set = (change: Partial<DashboardSettings>) => setSettings({ ...settings, ...change })
  const save = useMutation({
    meta: { silent: true },
    mutationFn: async (force: boolean) => {
      await editing?.saver.flush()
      const newest = editing?.store.getState().base ?? board
      const version = force ? await latestVersion() : Math.max(newest.version, board.version)
      const body = { version, name: name.trim(), description, isPublic, settings }
      const { data } = await updateDashboard({
        path: { dashboard_id: board.id },
        body,
        throwOnError: true,
      })
      return data.data
    },
    onSuccess: (saved) => {
      putInCache(cache, saved)
      void cache.invalidateQueries({ queryKey: [{ _id: 'getDashboards' }] })
      onClose()
      toast.success('Settings saved')
    },
  })
  const latestVersion = async () => (await editing?.saver.latestVersion()) ?? board.version
  const submit = (event: FormEvent) => {
    event.preventDefault()
    const checked = zUpdateDashboard.safeParse({
      version: board.version,
      name: name.trim(),
      description,
      isPublic,
      settings,
    })
    setFieldErrors(checked.success ? {} : errorsByField(checked.error))
    if (checked.success) save.mutate(false)
  }
  const conflict = isApiError(save.error) && save.error.code === 'CONFLICT'
  const ranges: { value: string; label: string }[] = QUICK_RANGES.map(([value, label]) => ({
    value,
    label,
  }))
  if (!ranges.some((range) => range.value === settings.timeRange)) {
    ranges.push({ value: settings.timeRange, label: settings.timeRange })
  }
  const general = (
    <div className="space-y-4">
      <Field
        label="Name"
        value={name}
        error={fieldErrors.name}
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
        hint="Everyone who signs in can see it. Only you and admins can change it."
        checked={isPublic}
        onChange={(event) => setPublic(event.target.checked)}
      />
    </div>
  )
  const time = (
    <div className="grid gap-4 sm:grid-cols-3">
      <Choice
        label="Default time range"
        value={settings.timeRange}
        onChange={(event) => set({ timeRange: event.target.value })}
      >
        {ranges.map((range) => (
          <option key={range.value} value={range.value}>
            {range.label}
          </option>
        ))}
      </Choice>
      <Choice
        label="Refresh"
        value={settings.refresh ?? ''}
        onChange={(event) => set({ refresh: event.target.value || null })}
      >
        <option value="">Off</option>
        {[...new Set([...REFRESHES, ...(settings.refresh ? [settings.refresh] : [])])].map(
          (every) => (
            <option key={every} value={every}>
              Every {every}
            </option>
          ),
        )}
      </Choice>
      <Choice
        label="Time zone"
        value={settings.timezone}
        onChange={(event) => set({ timezone: event.target.value === 'utc' ? 'utc' : 'browser' })}
      >
        <option value="browser">Browser time zone</option>
        <option value="utc">UTC</option>
      </Choice>
    </div>
  )
  return (
    <Dialog title="Dashboard settings" wide unsaved={changed} onClose={onClose}>
      <form onSubmit={submit} noValidate>
        <div className="min-h-72">
          <Tabs
            label="Settings"
            tabs={[
              { value: 'general', label: 'General', content: general },
              { value: 'time', label: 'Time', content: time },
              {
                value: 'variables',
                label: `Variables (${settings.variables.length})`,
                content: (
                  <VariablesEditor
                    variables={settings.variables}
                    fieldErrors={fieldErrors}
                    onChange={(variables) => set({ variables })}
                  />
                ),
              },
            ]}
          />
        </div>
        {Object.keys(fieldErrors).length > 0 && (
          <p role="alert" className="mt-3 text-sm text-danger">
            {Object.entries(fieldErrors)
              .map(([field, error]) => `${field}: ${error}`)
              .join(' ')}
          </p>
        )}
        {save.error && (
          <p role="alert" className="mt-3 text-sm text-danger">
            {isApiError(save.error) ? save.error.error : 'Pulseboard is not responding.'}{' '}
            {conflict && 'Overwrite replaces their settings with yours.'}
          </p>
        )}
        <div className="mt-5 flex justify-end gap-2">
          <Button onClick={onClose}>Cancel</Button>
          {conflict && (
            <Button variant="danger" onClick={() => save.mutate(true)}>
              Overwrite
            </Button>
          )}
          <Button type="submit" variant="primary" disabled={save.isPending}>
            Save settings
          </Button>
        </div>
      </form>
    </Dialog>
  )
}
