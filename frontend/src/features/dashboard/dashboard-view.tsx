import { useQuery } from '@tanstack/react-query'
import { Pause, Play, RefreshCw } from 'lucide-react'
import { getDashboardOptions } from '@/api/generated/@tanstack/react-query.gen'
import { ErrorBoundary } from '@/components/error-boundary'
import { Button, Card, Empty, Failure, Page, Select, Skeleton } from '@/components/ui/controls'
import { messageOf } from '@/lib/errors'
import { isLive, type TimeRange } from '@/lib/time-range'
import { PanelView } from './panel-view'
import { RangePicker } from './range-picker'
import { useBoardData } from './use-board-data'

export type BoardSearch = { from?: string; to?: string; refresh?: string }

const REFRESHES = ['5s', '10s', '30s', '1m', '5m', '15m', 'off']

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
  const usual = board ? (board.settings.refresh ?? 'off') : '10s'
  const refresh = search.refresh ?? usual
  const boardData = useBoardData(board, range, refresh)
  const paused = refresh === 'off'

  if (error && !board) {
    return (
      <Page title="Dashboard">
        <Card>
          <Failure message={messageOf(error)} onRetry={() => void refetch()} />
        </Card>
      </Page>
    )
  }
  const setRange = (next: TimeRange) => onSearch({ ...search, ...next })
  const failure = boardData.error ? messageOf(boardData.error) : undefined
  return (
    <Page
      title={board?.name ?? 'Dashboard'}
      actions={
        <div className="flex flex-wrap items-center gap-2">
          <RangePicker range={range} onChange={setRange} />
          <div className="flex">
            <Button
              className="w-9 rounded-r-none !px-0"
              aria-label="Refresh now"
              title="Refresh now"
              onClick={() => void boardData.refetch()}
            >
              <RefreshCw
                size={15}
                aria-hidden="true"
                className={boardData.isFetching ? 'text-accent' : ''}
              />
            </Button>
            <Select
              label="Refresh every"
              className="rounded-none border-x-0"
              value={refresh}
              disabled={!isLive(range)}
              onChange={(event) => onSearch({ ...search, refresh: event.target.value })}
            >
              {[...new Set([...REFRESHES, refresh])].map((every) => (
                <option key={every}>{every}</option>
              ))}
            </Select>
            <Button
              className="w-9 rounded-l-none !px-0"
              aria-label={paused ? 'Resume refresh' : 'Pause refresh'}
              title={paused ? 'Resume refresh' : 'Pause refresh'}
              disabled={!isLive(range)}
              onClick={() =>
                onSearch({ ...search, refresh: paused ? (usual === 'off' ? '10s' : usual) : 'off' })
              }
            >
              {paused ? (
                <Play size={15} aria-hidden="true" />
              ) : (
                <Pause size={15} aria-hidden="true" />
              )}
            </Button>
          </div>
        </div>
      }
    >
      {!board ? (
        <div className="grid gap-3 md:grid-cols-2">
          {[1, 2, 3, 4].map((place) => (
            <Skeleton key={place} className="h-60" />
          ))}
        </div>
      ) : board.panels.length === 0 ? (
        <Card>
          <Empty title="This dashboard has no panels yet" />
        </Card>
      ) : (
        <div className="board">
          {board.panels.map((panel) => (
            <ErrorBoundary key={panel.id} onRetry={() => void boardData.refetch()}>
              <PanelView
                panel={panel}
                data={boardData.data}
                failure={failure}
                onRetry={() => void boardData.refetch()}
                onZoom={(start, end) => setRange({ from: String(start), to: String(end) })}
                onReset={() => onSearch({ refresh: search.refresh })}
              />
            </ErrorBoundary>
          ))}
        </div>
      )}
    </Page>
  )
}
