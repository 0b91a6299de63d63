import { useQuery } from '@tanstack/react-query'
import { getDashboardImportOptions } from '@/api/generated/@tanstack/react-query.gen'
import type { Dashboard } from '@/api/generated/types.gen'
import { ImportNotes } from '@/components/import-notes'
import { Failure, Skeleton } from '@/components/ui/controls'
import { Dialog } from '@/components/ui/dialog'
import { messageOf } from '@/lib/errors'

const when = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' })

/** What the import of a dashboard took, changed and dropped. */
export function ImportReportDialog({ board, onClose }: { board: Dashboard; onClose: () => void }) {
  const { data, error, refetch } = useQuery(
    getDashboardImportOptions({ path: { dashboard_id: board.id } }),
  )
  return (
    <Dialog title={`Import of ${board.name}`} wide onClose={onClose}>
      {error && <Failure message={messageOf(error)} onRetry={() => void refetch()} />}
      {!data && !error && <Skeleton className="h-40" />}
      {data && (
        <>
          <p className="text-muted">
            Imported {when.format(new Date(data.data.importedAt))}. Later changes are in its
            history.
          </p>
          <ImportNotes report={data.data.report} />
        </>
      )}
    </Dialog>
  )
}
