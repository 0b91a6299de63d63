import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { toast } from 'sonner'
import {
  getDashboardVersionOptions,
  getDashboardVersionsOptions,
} from '@/api/generated/@tanstack/react-query.gen'
import { restoreDashboardVersion } from '@/api/generated/sdk.gen'
import type { Dashboard } from '@/api/generated/types.gen'
import { Button, Failure, Skeleton } from '@/components/ui/controls'
import { Dialog } from '@/components/ui/dialog'
import { messageOf } from '@/lib/errors'
import { type Editing, putInCache } from './use-draft'

const when = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' })

type Props = { board: Dashboard; editing: Editing | undefined; onClose: () => void }

export function HistoryDialog({ board, editing, onClose }: Props) {
  const [shown, setShown] = useState<number>()
  const cache = useQueryClient()
  const path = { dashboard_id: board.id }
  const { data, error, refetch } = useQuery({
    ...getDashboardVersionsOptions({ path }),
    staleTime: 0,
  })
  const restore = useMutation({
    mutationFn: async (version: number) => {
      await editing?.saver.flush()
      const { data: response } = await restoreDashboardVersion({
        path: { ...path, restored: version },
        throwOnError: true,
      })
      return response.data
    },
    onSuccess: (saved, version) => {
      putInCache(cache, { ...saved, canEdit: true })
      onClose()
      toast.success(`Version ${version} restored`)
    },
  })
  return (
    <Dialog title={`History of ${board.name}`} wide onClose={onClose}>
      {error && <Failure message={messageOf(error)} onRetry={() => void refetch()} />}
      {!data && !error && <Skeleton className="h-40" />}
      <ol className="max-h-[60vh] divide-y divide-line overflow-y-auto">
        {data?.data.map((entry, index) => (
          <li key={entry.version} className="py-2">
            <div className="flex flex-wrap items-center gap-x-3 gap-y-1">
              <span className="w-10 text-muted tabular-nums">v{entry.version}</span>
              <span className="mr-auto min-w-40">
                {entry.change}
                <span className="block text-xs text-muted">
                  {when.format(new Date(entry.createdAt))}
                  {entry.authorEmail ? `, ${entry.authorEmail}` : ''}
                </span>
              </span>
              <Button
                variant="ghost"
                aria-expanded={shown === entry.version}
                aria-label={`Show version ${entry.version}`}
                onClick={() => setShown(shown === entry.version ? undefined : entry.version)}
              >
                Show
              </Button>
              {index === 0 ? (
                <span className="px-3 text-sm text-muted">Current</span>
              ) : (
                board.canEdit && (
                  <Button
                    aria-label={`Restore version ${entry.version}`}
                    disabled={restore.isPending}
                    onClick={() => restore.mutate(entry.version)}
                  >
                    Restore
                  </Button>
                )
              )}
            </div>
            {shown === entry.version && <VersionPanels board={board} version={entry.version} />}
          </li>
        ))}
      </ol>
    </Dialog>
  )
}

/** The panels of a former version, and how they differ from the current ones. */
function VersionPanels({ board, version }: { board: Dashboard; version: number }) {
  const { data, error } = useQuery(
    getDashboardVersionOptions({ path: { dashboard_id: board.id, version } }),
  )
  if (error) return <p className="py-2 text-sm text-danger">{messageOf(error)}</p>
  if (!data) return <Skeleton className="mt-2 h-10" />
  const now = new Map(board.panels.map((panel) => [panel.id, panel]))
  const then = new Set(data.data.panels.map((panel) => panel.id))
  return (
    <ul className="mt-1 ml-13 text-xs text-muted" aria-label={`Panels of version ${version}`}>
      {data.data.panels.map((panel) => (
        <li key={panel.id}>
          {panel.title} ({panel.type})
          {!now.has(panel.id)
            ? ': removed since'
            : now.get(panel.id)?.updatedAt !== panel.updatedAt
              ? ': changed since'
              : ''}
        </li>
      ))}
      {board.panels
        .filter((panel) => !then.has(panel.id))
        .map((panel) => (
          <li key={panel.id}>{panel.title}: added since</li>
        ))}
      {data.data.panels.length === 0 && <li>No panels</li>}
    </ul>
  )
}
