import type { ReactNode } from 'react'
import { Card, Failure, Skeleton } from '@/components/ui/controls'
import { messageOf } from '@/lib/errors'

type Asked<T> = { data: T | undefined; error: unknown; refetch: () => unknown }

/** Data when there are any; else why not, with a way to ask again; else that they come. */
export function Loaded<T>({ of, children }: { of: Asked<T>; children: (data: T) => ReactNode }) {
  if (of.data !== undefined) return <Card className="overflow-x-auto">{children(of.data)}</Card>
  if (of.error)
    return (
      <Card>
        <Failure message={messageOf(of.error)} onRetry={() => void of.refetch()} />
      </Card>
    )
  return <Skeleton className="h-32" />
}

export function Headings({ names }: { names: string[] }) {
  return (
    <thead className="text-xs text-muted">
      <tr>
        <Names names={names} />
      </tr>
    </thead>
  )
}

export function Names({ names }: { names: string[] }) {
  return names.map((name) => (
    <th key={name} scope="col" className="px-4 py-2.5 font-medium whitespace-nowrap">
      {name}
    </th>
  ))
}
