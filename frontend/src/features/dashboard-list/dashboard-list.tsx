import { keepPreviousData, useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { Globe, LayoutDashboard, Lock, Plus } from 'lucide-react'
import { type ReactNode, useId, useState } from 'react'
import {
  getDashboardsOptions,
  getDashboardsQueryKey,
  getMeOptions,
  setFavouriteMutation,
} from '@/api/generated/@tanstack/react-query.gen'
import type { DashboardSummary } from '@/api/generated/types.gen'
import { AddData } from '@/components/add-data'
import { StarButton } from '@/components/star-button'
import { Card, Empty, Failure, Page, Skeleton } from '@/components/ui/controls'
import { messageOf } from '@/lib/errors'
import { NewDashboard } from './new-dashboard'

const date = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium' })
const RECENT = 6

export function DashboardList() {
  const [search, setSearch] = useState('')
  const { data: me } = useQuery(getMeOptions())
  const all = useQuery({
    ...getDashboardsOptions({ query: { search, pageSize: 200 } }),
    placeholderData: keepPreviousData,
  })
  const favourites = useQuery(getDashboardsOptions({ query: { favourites: true, pageSize: 200 } }))
  const recent = useQuery(getDashboardsOptions({ query: { order: 'viewed', pageSize: RECENT } }))
  const { data, error, refetch } = all
  // Each dashboard is listed once, in the first section that it belongs to.
  const starred = favourites.data?.data ?? []
  const opened = (recent.data?.data ?? []).filter(
    (board) => board.viewedAt && !starred.some(({ id }) => id === board.id),
  )
  const above = new Set([...starred, ...opened].map(({ id }) => id))
  // All sections are shown together, so that none shifts another.
  const ready = data && !favourites.isPending && !recent.isPending
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
      ) : !ready ? (
        <div className="grid gap-3 sm:grid-cols-2 lg:grid-cols-3">
          {[1, 2, 3].map((index) => (
            <Skeleton key={index} className="h-24" />
          ))}
        </div>
      ) : data.data.length === 0 ? (
        <Card>
          <Empty title={search ? `No results for “${search}”` : 'No dashboards yet'}>
            {search ? (
              'Try part of the name.'
            ) : (
              <>
                <p className="mb-4">Dashboards that you own or that are public appear here.</p>
                <AddData />
              </>
            )}
          </Empty>
        </Card>
      ) : search ? (
        <Boards boards={data.data} />
      ) : (
        <div className="space-y-6">
          <Section title="Favourites" boards={starred} />
          <Section title="Recently opened" boards={opened} />
          <Section
            title={above.size ? 'Others' : 'All'}
            boards={data.data.filter(({ id }) => !above.has(id))}
          />
          {me && me.data.role !== 'viewer' && (
            <Link
              to="/add-data"
              className="flex items-center gap-2 rounded-lg border border-dashed border-line p-4 text-muted hover:border-accent hover:text-text"
            >
              <Plus size={16} className="shrink-0 text-accent" aria-hidden="true" />
              <span>
                <span className="font-medium text-text">Send your own metrics</span>: from
                Prometheus, OpenTelemetry, Telegraf, Datadog, a script, or the host agent
              </span>
            </Link>
          )}
        </div>
      )}
    </Page>
  )
}

function Section({ title, boards }: { title: string; boards: DashboardSummary[] }) {
  const id = useId()
  if (!boards.length) return null
  return (
    <section aria-labelledby={id}>
      <h2 id={id} className="mb-2 text-sm font-medium text-muted">
        {title}
      </h2>
      <Boards boards={boards} />
    </section>
  )
}

function Boards({ boards }: { boards: DashboardSummary[] }): ReactNode {
  const cache = useQueryClient()
  const { mutate: favour } = useMutation({
    ...setFavouriteMutation(),
    scope: { id: 'favourites' },
    onSuccess: () => cache.invalidateQueries({ queryKey: getDashboardsQueryKey() }),
  })
  return (
    <ul className="grid gap-3 sm:grid-cols-2 lg:grid-cols-3">
      {boards.map((board) => (
        <li
          key={board.id}
          className="relative flex flex-col rounded-lg border border-line bg-surface p-4 shadow-(--shadow) transition-colors focus-within:border-accent hover:border-accent"
        >
          <div className="flex items-start gap-2">
            <LayoutDashboard size={16} className="mt-0.5 shrink-0 text-accent" aria-hidden="true" />
            <Link
              to="/dashboards/$id"
              params={{ id: board.id }}
              // The link covers the whole card; the star is above it.
              className="min-w-0 flex-1 font-medium after:absolute after:inset-0 after:rounded-lg"
            >
              {board.name}
            </Link>
            <div className="relative -mt-1.5 -mr-2">
              <StarButton
                name={board.name}
                starred={board.favourite ?? false}
                onStar={(favourite) =>
                  favour({ path: { dashboard_id: board.id }, body: { favourite } })
                }
              />
            </div>
          </div>
          {board.description && <p className="line-clamp-2 text-muted">{board.description}</p>}
          <p className="mt-auto flex items-center gap-1.5 pt-3 text-xs text-muted">
            {board.isPublic ? (
              <Globe size={13} aria-hidden="true" />
            ) : (
              <Lock size={13} aria-hidden="true" />
            )}
            {board.isPublic ? 'Public' : 'Private'} · {board.panelCount} panels · updated{' '}
            {date.format(new Date(board.updatedAt))}
          </p>
        </li>
      ))}
    </ul>
  )
}
