import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { Globe, LayoutDashboard, Lock } from 'lucide-react'
import { useState } from 'react'
import { getDashboardsOptions, getMeOptions } from '@/api/generated/@tanstack/react-query.gen'
import { AddData } from '@/components/add-data'
import { Card, Empty, Failure, Page, Skeleton } from '@/components/ui/controls'
import { messageOf } from '@/lib/errors'
import { NewDashboard } from './new-dashboard'

const date = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium' })

export function DashboardList() {
  const [search, setSearch] = useState('')
  const { data: me } = useQuery(getMeOptions())
  const { data, error, refetch } = useQuery({
    ...getDashboardsOptions({ query: { search, pageSize: 200 } }),
    placeholderData: keepPreviousData,
  })
  return (
    <Page
      title="Dashboards"
      actions={
        <div className="flex w-full flex-wrap gap-2 sm:w-auto">
          <input
            type="search"
            aria-label="Search dashboards"
            placeholder="Search"
            className="h-9 w-full rounded-md border border-line bg-surface px-3 placeholder:text-muted sm:w-64"
            value={search}
            onChange={(event) => setSearch(event.target.value)}
          />
          {me && me.data.role !== 'viewer' && <NewDashboard />}
        </div>
      }
    >
      {error && !data ? (
        <Card>
          <Failure message={messageOf(error)} onRetry={() => void refetch()} />
        </Card>
      ) : !data ? (
        <div className="grid gap-3 sm:grid-cols-2 lg:grid-cols-3">
          {[1, 2, 3].map((place) => (
            <Skeleton key={place} className="h-24" />
          ))}
        </div>
      ) : data.data.length === 0 ? (
        <Card>
          <Empty title={search ? `Nothing called “${search}”` : 'No dashboards yet'}>
            {search ? (
              'Try a part of its name.'
            ) : (
              <>
                <p className="mb-4">Dashboards that you own or that are public appear here.</p>
                <AddData />
              </>
            )}
          </Empty>
        </Card>
      ) : (
        <ul className="grid gap-3 sm:grid-cols-2 lg:grid-cols-3">
          {data.data.map((board) => (
            <li key={board.id}>
              <Link
                to="/dashboards/$id"
                params={{ id: board.id }}
                className="block h-full rounded-lg border border-line bg-surface p-4 shadow-(--shadow) transition-colors hover:border-accent"
              >
                <span className="flex items-center gap-2 font-medium">
                  <LayoutDashboard size={16} className="text-accent" aria-hidden="true" />
                  {board.name}
                </span>
                {board.description && (
                  <span className="mt-1 line-clamp-2 block text-muted">{board.description}</span>
                )}
                <span className="mt-3 flex items-center gap-1.5 text-xs text-muted">
                  {board.isPublic ? (
                    <Globe size={13} aria-hidden="true" />
                  ) : (
                    <Lock size={13} aria-hidden="true" />
                  )}
                  {board.isPublic ? 'Public' : 'Private'} · {board.panelCount} panels · changed{' '}
                  {date.format(new Date(board.updatedAt))}
                </span>
              </Link>
            </li>
          ))}
        </ul>
      )}
    </Page>
  )
}
