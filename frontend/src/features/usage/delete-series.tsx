import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { toast } from 'sonner'
import { deleteSeriesMutation } from '@/api/generated/@tanstack/react-query.gen'
import { deleteSeries } from '@/api/generated/sdk.gen'
import { Button, Failure, Skeleton } from '@/components/ui/controls'
import { Dialog } from '@/components/ui/dialog'
import { messageOf } from '@/lib/errors'
import { count } from './amounts'

type Props = {
  selector: string
  onClose: () => void
  onDeleted: (metricToo: boolean) => Promise<void> | void
}

/** Shows how many series would be deleted, and deletes them if the number is still the same. */
export function DeleteSeries({ selector, onClose, onDeleted }: Props) {
  const cache = useQueryClient()
  const dry = useQuery({
    queryKey: ['deleteSeries', 'dry', selector],
    queryFn: ({ signal }) =>
      deleteSeries({ query: { selector, dryRun: true }, signal, throwOnError: true }),
    select: ({ data }) => data.data,
    staleTime: 0,
    gcTime: 0,
  })
  const remove = useMutation({
    ...deleteSeriesMutation(),
    onSuccess: async ({ data }) => {
      toast.success(`${count(data.seriesCount)} series deleted.`)
      onClose()
      // Leave the page of a deleted metric first: otherwise its queries would be refetched.
      await onDeleted(data.metricDeleted)
      await cache.invalidateQueries()
    },
    meta: { silent: true },
  })
  const found = dry.data
  return (
    <Dialog
      title={found?.metricDeleted ? 'Delete the metric?' : 'Delete series?'}
      onClose={onClose}
    >
      <code className="mb-3 block rounded-md bg-raised p-3 text-xs break-all">{selector}</code>
      {dry.error ? (
        <Failure message={messageOf(dry.error)} onRetry={() => void dry.refetch()} />
      ) : !found ? (
        <Skeleton className="h-16" />
      ) : (
        <>
          <p className="mb-3">
            <strong>{count(found.seriesCount)} series</strong> will be deleted with all their
            samples
            {found.metricDeleted ? ', and the metric itself' : ''}. This can't be undone.
          </p>
          <p className="mb-5 text-sm text-muted">
            Series that are still being sent are created again, without the old history. Dashboards
            and alert rules that use them are kept, but show no data.
          </p>
        </>
      )}
      {remove.error && (
        <p role="alert" className="mb-3 text-sm text-danger">
          {messageOf(remove.error)}
        </p>
      )}
      <div className="flex flex-wrap justify-end gap-2">
        <Button onClick={onClose}>Cancel</Button>
        <Button
          variant="danger"
          disabled={!found || remove.isPending}
          onClick={() => remove.mutate({ query: { selector, expect: found?.seriesCount ?? 0 } })}
        >
          {found ? `Permanently delete ${count(found.seriesCount)} series` : 'Delete'}
        </Button>
      </div>
    </Dialog>
  )
}
