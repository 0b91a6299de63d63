import clsx from 'clsx'
import type { ReactNode } from 'react'
import { Card, Failure, Skeleton } from '@/components/ui/controls'
import { messageOf } from '@/lib/errors'

type LoadableQuery<T> = { data: T | undefined; error: unknown; refetch: () => unknown }

/** Shows data if there is any, else the error with a Retry button, else a placeholder. */
export function Loaded<T>({
  of,
  children,
}: {
  of: LoadableQuery<T>
  children: (data: T) => ReactNode
}) {
  if (of.data !== undefined) return <Card className="overflow-x-auto">{children(of.data)}</Card>
  if (of.error)
    return (
      <Card>
        <Failure message={messageOf(of.error)} onRetry={() => void of.refetch()} />
      </Card>
    )
  return <Skeleton className="h-32" />
}

type TableHeadProps = {
  names: string[]
  /** Columns that only wide screens show: their cells are `max-sm:hidden` too. */
  wide?: string[]
}

export function TableHead({ names, wide }: TableHeadProps) {
  return (
    <thead className="text-xs text-muted">
      <tr>
        <HeadCells names={names} wide={wide} />
      </tr>
    </thead>
  )
}

export function HeadCells({ names, wide }: TableHeadProps) {
  return names.map((name) => (
    <th
      key={name}
      scope="col"
      className={clsx(
        'px-4 py-2.5 font-medium whitespace-nowrap',
        wide?.includes(name) && 'max-sm:hidden',
      )}
    >
      {name}
    </th>
  ))
}
