import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useEffect } from 'react'
import {
  getDashboardsOptions,
  getDashboardsQueryKey,
  noteVisitMutation,
  setFavouriteMutation,
} from '@/api/generated/@tanstack/react-query.gen'
import { StarButton } from '@/components/star-button'

/** The star of an open board; opening it also records the visit. */
export function FavouriteButton({ id, name }: { id: string; name: string }) {
  const cache = useQueryClient()
  const { data } = useQuery({
    ...getDashboardsOptions({ query: { favourites: true, pageSize: 1000 } }),
    staleTime: 60_000,
  })
  const reload = () => cache.invalidateQueries({ queryKey: getDashboardsQueryKey() })
  const { mutate: visit } = useMutation({ ...noteVisitMutation(), meta: { silent: true } })
  const favour = useMutation({
    ...setFavouriteMutation(),
    // One after the other: of two quick clicks, the last one counts.
    scope: { id: 'favourites' },
    onSettled: reload,
  })
  useEffect(() => visit({ path: { dashboard_id: id } }), [visit, id])
  const stored = data?.data.some((board) => board.id === id) ?? false
  const starred = favour.isPending ? favour.variables.body.favourite : stored
  return (
    <StarButton
      name={name}
      starred={starred}
      onStar={(favourite) => favour.mutate({ path: { dashboard_id: id }, body: { favourite } })}
    />
  )
}
