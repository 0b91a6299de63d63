import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { type FormEvent, useState } from 'react'
import { importDashboard } from '@/api/generated/sdk.gen'
import type { ImportedDashboard, ImportNote } from '@/api/generated/types.gen'
import { Area, Button } from '@/components/ui/controls'
import { Dialog } from '@/components/ui/dialog'
import { isApiError, messageOf } from '@/lib/errors'

const OUTCOMES: [ImportNote['outcome'], string][] = [
  ['dropped', 'Not imported'],
  ['changed', 'Changed'],
  ['taken', 'Imported unchanged'],
]

/** Imports a dashboard from a Pulseboard or Grafana file and reports the result. */
export function ImportDashboardDialog({ onClose }: { onClose: () => void }) {
  const [text, setText] = useState('')
  const [parseError, setParseError] = useState<string>()
  const cache = useQueryClient()
  const importing = useMutation({
    meta: { silent: true },
    mutationFn: async (document: Record<string, unknown>) =>
      (await importDashboard({ body: { document }, throwOnError: true })).data.data,
    onSuccess: () => void cache.invalidateQueries({ queryKey: [{ _id: 'getDashboards' }] }),
  })
  const submit = (event: FormEvent) => {
    event.preventDefault()
    try {
      const parsed: unknown = JSON.parse(text)
      if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
        throw new SyntaxError('a dashboard is a JSON object')
      }
      setParseError(undefined)
      importing.mutate(parsed as Record<string, unknown>)
    } catch (error) {
      setParseError(`This is not a dashboard: ${error instanceof Error ? error.message : error}.`)
    }
  }
  if (importing.data) return <Report imported={importing.data} onClose={onClose} />
  const details = isApiError(importing.error) ? importing.error.details : undefined
  return (
    <Dialog title="Import a dashboard" wide onClose={onClose}>
      <form onSubmit={submit} className="space-y-4">
        <p className="text-muted">
          A file exported from Pulseboard, or a classic Grafana dashboard as JSON.
        </p>
        <label className="block">
          <span className="mb-1 block text-sm font-medium">File</span>
          <input
            type="file"
            accept=".json,application/json"
            className="w-full rounded-md border border-line p-1.5 text-sm file:mr-3 file:rounded file:border-0 file:bg-raised file:px-3 file:py-1 file:text-text"
            onChange={(event) => {
              const file = event.target.files?.[0]
              if (file) void file.text().then(setText)
            }}
          />
        </label>
        <Area
          label="Or paste JSON"
          className="min-h-48 font-mono !text-xs"
          spellCheck={false}
          value={text}
          onChange={(event) => setText(event.target.value)}
        />
        {(parseError || importing.error) && (
          <div role="alert" className="text-sm text-danger">
            <p>{parseError ?? messageOf(importing.error)}</p>
            {!parseError && details && (
              <ul className="mt-1 list-inside list-disc">
                {details.slice(0, 8).map((detail) => (
                  <li key={detail.field + detail.message}>
                    {detail.field}: {detail.message}
                  </li>
                ))}
              </ul>
            )}
          </div>
        )}
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" variant="primary" disabled={!text.trim() || importing.isPending}>
            Import
          </Button>
        </div>
      </form>
    </Dialog>
  )
}

function Report({ imported, onClose }: { imported: ImportedDashboard; onClose: () => void }) {
  const navigate = useNavigate()
  const { dashboard, report } = imported
  return (
    <Dialog title={`Imported: ${dashboard.name}`} wide onClose={onClose}>
      <p className="text-muted">
        {dashboard.panels.length} panels.{' '}
        {report.some((note) => note.outcome !== 'taken')
          ? 'The following differs from the original:'
          : 'Everything was imported unchanged.'}
      </p>
      <div className="mt-3 max-h-[50vh] space-y-4 overflow-y-auto">
        {OUTCOMES.map(([outcome, title]) => {
          const notes = report.filter((note) => note.outcome === outcome)
          if (!notes.length) return null
          return (
            <section key={outcome} aria-label={title}>
              <h3 className="text-sm font-medium">
                {title} ({notes.length})
              </h3>
              <ul className="mt-1 divide-y divide-line text-sm">
                {notes.map((note, index) => (
                  <li key={index} className="py-1.5">
                    <span className="text-muted">{note.place}:</span> {note.message}
                  </li>
                ))}
              </ul>
            </section>
          )
        })}
      </div>
      <div className="mt-5 flex justify-end gap-2">
        <Button onClick={onClose}>Close</Button>
        <Button
          variant="primary"
          onClick={() => void navigate({ to: '/dashboards/$id', params: { id: dashboard.id } })}
        >
          Open dashboard
        </Button>
      </div>
    </Dialog>
  )
}
