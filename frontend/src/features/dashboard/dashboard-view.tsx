import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { lazy, type ReactNode, Suspense, useRef } from 'react'
import { getDashboardOptions } from '@/api/generated/@tanstack/react-query.gen'
import type { Panel } from '@/api/generated/types.gen'
import { AddData } from '@/components/add-data'
import { ErrorBoundary } from '@/components/error-boundary'
import { Card, Empty, Failure, Page, Skeleton } from '@/components/ui/controls'
import { messageOf } from '@/lib/errors'
import { isLive, type TimeRange } from '@/lib/time-range'
import { type Zone, ZoneContext } from '@/lib/zone'
import type { BoardSearch } from './board-search'
import { BoardMenu } from './edit/board-menu'
import { EditBar } from './edit/edit-bar'
import { PanelMenu } from './edit/panel-menu'
import { useDraft, useDraftPanels } from './edit/use-draft'
import { PanelView } from './panel-view'
import { RangePicker } from './range-picker'
import { RefreshControl } from './refresh-control'
import { useBoardData } from './use-board-data'

const EditGrid = lazy(() => import('./edit/edit-grid'))

type Props = { id: string; search: BoardSearch; onSearch: (change: BoardSearch) => void }

export function DashboardView({ id, search, onSearch }: Props) {
  const {
    data: answer,
    error,
    refetch,
  } = useQuery({ ...getDashboardOptions({ path: { dashboard_id: id } }), staleTime: 60_000 })
  const board = answer?.data
  const range: TimeRange = {
    from: search.from ?? `now-${board?.settings.timeRange ?? '1h'}`,
    to: search.to ?? 'now',
  }
  const zone: Zone = search.tz ?? board?.settings.timezone ?? 'browser'
  const usual = board ? (board.settings.refresh ?? 'off') : '10s'
  const refresh = search.refresh ?? usual
  const draft = useDraft(board)
  const draftPanels = useDraftPanels(draft)
  const editing = search.edit ? draft : undefined
  const boardData = useBoardData(editing ? draftPanels : board?.panels, range, zone, refresh)
  // Where each zoom came from: a double click goes back one step.
  const zoomedFrom = useRef<Pick<BoardSearch, 'from' | 'to'>[]>([])

  if (error && !board) {
    return (
      <Page title="Dashboard">
        <Card>
          <Failure message={messageOf(error)} onRetry={() => void refetch()} />
        </Card>
      </Page>
    )
  }
  const zoom = (start: number, end: number) => {
    zoomedFrom.current.push({ from: search.from, to: search.to })
    onSearch({ ...search, from: String(start), to: String(end) })
  }
  const zoomBack = () => {
    const before = zoomedFrom.current.pop() ?? { from: undefined, to: undefined }
    onSearch({ ...search, ...before })
  }
  const failure = boardData.error ? messageOf(boardData.error) : undefined
  const show = (panel: Panel, menu: ReactNode, filling: boolean) => (
    <ErrorBoundary key={panel.id} onRetry={() => void boardData.refetch()}>
      <PanelView
        panel={panel}
        filling={filling}
        actions={menu}
        data={boardData.data}
        failure={failure}
        onRetry={() => void boardData.refetch()}
        onZoom={zoom}
        onReset={zoomBack}
      />
    </ErrorBoundary>
  )
  return (
    <Page
      title={board?.name ?? 'Dashboard'}
      actions={
        <div className="flex min-w-0 flex-wrap items-center gap-2">
          <RangePicker
            range={range}
            zone={zone}
            onChange={(next) => {
              zoomedFrom.current = []
              onSearch({ ...search, ...next })
            }}
            onZone={(tz) => onSearch({ ...search, tz })}
          />
          <RefreshControl
            refresh={refresh}
            usual={usual}
            live={isLive(range)}
            fetching={boardData.isFetching}
            onRefresh={() => void boardData.refetch()}
            onChange={(every) => onSearch({ ...search, refresh: every })}
          />
          {board && !editing && (
            <BoardMenu
              board={board}
              editing={draft}
              onEdit={() => onSearch({ ...search, edit: '1' })}
            />
          )}
        </div>
      }
    >
      {!board ? (
        <div className="grid gap-3 md:grid-cols-2">
          {[1, 2, 3, 4].map((place) => (
            <Skeleton key={place} className="h-60" />
          ))}
        </div>
      ) : editing ? (
        <ZoneContext value={zone}>
          <EditBar
            board={board}
            editing={editing}
            onDone={() => onSearch({ ...search, edit: undefined })}
          />
          <Suspense fallback={<Skeleton className="h-96" />}>
            <EditGrid
              board={board}
              editing={editing}
              render={(panel, menu) => show(panel, menu, true)}
            />
          </Suspense>
        </ZoneContext>
      ) : board.panels.length === 0 ? (
        <Card>
          <Empty title="This dashboard has no panels yet">
            {board.canEdit && (
              <Link
                to="/dashboards/$id/panels/$panel/edit"
                params={{ id, panel: 'new' }}
                search={search}
                className="my-3 inline-flex h-9 items-center rounded-md bg-accent px-3 text-sm font-medium text-accent-text hover:opacity-90"
              >
                Add panel
              </Link>
            )}
            <AddData />
          </Empty>
        </Card>
      ) : (
        <ZoneContext value={zone}>
          <div className="board">
            {board.panels.map((panel) =>
              show(panel, <PanelMenu board={board} panel={panel} />, false),
            )}
          </div>
        </ZoneContext>
      )}
    </Page>
  )
}
