import { useMutation, useQueryClient } from '@tanstack/react-query'
import { Link, useNavigate } from '@tanstack/react-router'
import { type FormEvent, useState } from 'react'
import { importDashboard } from '@/api/generated/sdk.gen'
import type { ImportedDashboard } from '@/api/generated/types.gen'
import { ImportNotes } from '@/components/import-notes'
import { Area, Button } from '@/components/ui/controls'
import { Dialog } from '@/components/ui/dialog'
import { isApiError, messageOf } from '@/lib/errors'

type Source = { name: string; text: string }
/** Of one file: the dashboard, or why there is none. */
type Result = { name: string; imported?: ImportedDashboard; error?: unknown }

function parsed(text: string): Record<string, unknown> {
  let found: unknown
  try {
    found = JSON.parse(text)
  } catch (error) {
    throw new Error(`This is not a dashboard: ${error instanceof Error ? error.message : error}.`)
  }
  if (typeof found !== 'object' || found === null || Array.isArray(found)) {
    throw new Error('This is not a dashboard: a dashboard is a JSON object.')
  }
  return found as Record<string, unknown>
}

/** One file after the other: a file that is refused keeps none of the others from being imported. */
async function importAll(sources: Source[]): Promise<Result[]> {
  const results: Result[] = []
  for (const { name, text } of sources) {
    try {
      const body = { document: parsed(text) }
      const { data } = await importDashboard({ body, throwOnError: true })
      results.push({ name, imported: data.data })
    } catch (error) {
      results.push({ name, error })
    }
  }
  return results
}

/** Imports dashboards from files of Pulseboard or Grafana and reports the result of each. */
export function ImportDashboardDialog({ onClose }: { onClose: () => void }) {
  const [text, setText] = useState('')
  const [files, setFiles] = useState<Source[]>([])
  const cache = useQueryClient()
  const importing = useMutation({
    meta: { silent: true },
    mutationFn: importAll,
    onSettled: () => void cache.invalidateQueries({ queryKey: [{ _id: 'getDashboards' }] }),
  })
  const submit = (event: FormEvent) => {
    event.preventDefault()
    importing.mutate(files.length ? files : [{ name: 'pasted', text }])
  }
  const choose = async (chosen: File[]) => {
    const read = await Promise.all(
      chosen.map(async (file) => ({ name: file.name, text: await file.text() })),
    )
    importing.reset()
    // One file can still be edited here; several are only listed.
    setText(read.length === 1 ? (read[0]?.text ?? '') : '')
    setFiles(read.length > 1 ? read : [])
  }
  const [first, ...others] = importing.data ?? []
  if (first && others.length) return <Reports results={[first, ...others]} onClose={onClose} />
  if (first?.imported) return <Report imported={first.imported} onClose={onClose} />
  return (
    <Dialog
      title="Import a dashboard"
      wide
      unsaved={text !== '' || files.length > 0}
      onClose={onClose}
    >
      <form onSubmit={submit} className="space-y-4">
        <p className="text-muted">
          Files exported from Pulseboard, or dashboards of Grafana as JSON.
        </p>
        <label className="block">
          <span className="mb-1 block text-sm font-medium">Files</span>
          <input
            type="file"
            multiple
            accept=".json,application/json"
            className="w-full rounded-md border border-line p-1.5 text-sm file:mr-3 file:rounded file:border-0 file:bg-raised file:px-3 file:py-1 file:text-text"
            onChange={(event) => void choose([...(event.target.files ?? [])])}
          />
        </label>
        {files.length ? (
          <ul
            aria-label="Chosen"
            className="max-h-48 list-inside list-disc overflow-y-auto text-sm"
          >
            {files.map(({ name }, index) => (
              <li key={`${index}-${name}`}>{name}</li>
            ))}
          </ul>
        ) : (
          <Area
            label="Or paste JSON"
            className="min-h-48 font-mono !text-xs"
            spellCheck={false}
            value={text}
            onChange={(event) => setText(event.target.value)}
          />
        )}
        {first?.error !== undefined && <Refused error={first.error} />}
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>Cancel</Button>
          <Button
            type="submit"
            variant="primary"
            disabled={(!text.trim() && !files.length) || importing.isPending}
          >
            Import
          </Button>
        </div>
      </form>
    </Dialog>
  )
}

/** Why a file is refused. */
function Refused({ error }: { error: unknown }) {
  const details = isApiError(error) ? error.details : undefined
  return (
    <div role="alert" className="text-sm text-danger">
      <p>{messageOf(error)}</p>
      {details && (
        <ul className="mt-1 list-inside list-disc">
          {details.slice(0, 8).map((detail) => (
            <li key={detail.field + detail.message}>
              {detail.field}: {detail.message}
            </li>
          ))}
        </ul>
      )}
    </div>
  )
}

const differs = ({ report }: ImportedDashboard) =>
  report.filter(({ outcome }) => outcome !== 'taken').length

/** What became of several files, each with its report. */
function Reports({ results, onClose }: { results: Result[]; onClose: () => void }) {
  const done = results.filter(({ imported }) => imported).length
  return (
    <Dialog title={`Imported: ${done} of ${results.length} files`} wide onClose={onClose}>
      <ul className="max-h-[60vh] divide-y divide-line overflow-y-auto">
        {results.map(({ name, imported, error }, index) => (
          <li key={`${index}-${name}`} className="py-2">
            {imported ? (
              <>
                <Link
                  to="/dashboards/$id"
                  params={{ id: imported.dashboard.id }}
                  className="font-medium text-accent hover:underline"
                >
                  {imported.dashboard.name}
                </Link>
                <details className="text-sm">
                  <summary className="cursor-pointer text-muted">
                    {name}: {imported.dashboard.panels.length} panels, {differs(imported)} notes
                  </summary>
                  <ImportNotes report={imported.report} />
                </details>
              </>
            ) : (
              <>
                <p className="font-medium">{name}</p>
                <Refused error={error} />
              </>
            )}
          </li>
        ))}
      </ul>
      <div className="mt-5 flex justify-end">
        <Button onClick={onClose}>Close</Button>
      </div>
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
        {differs(imported)
          ? 'The following differs from the original:'
          : 'Everything was imported unchanged.'}
      </p>
      <ImportNotes report={report} />
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
