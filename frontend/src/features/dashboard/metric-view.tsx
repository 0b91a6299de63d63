import { useQuery } from '@tanstack/react-query'
import { useMemo, useRef } from 'react'
import { getMetricTagsOptions, listMetricsOptions } from '@/api/generated/@tanstack/react-query.gen'
import type { Panel } from '@/api/generated/types.gen'
import { ErrorBoundary } from '@/components/error-boundary'
import { Card, Failure, Page, Skeleton } from '@/components/ui/controls'
import { messageOf } from '@/lib/errors'
import { DEFAULT_OPTIONS, DEFAULT_QUERY } from '@/lib/panel-defaults'
import { writeSelector } from '@/lib/selectors'
import { refreshEvery, type TimeRange } from '@/lib/time-range'
import { ZoneContext } from '@/lib/zone'
import type { BoardSearch } from './board-search'
import { BoardToolbar } from './board-toolbar'
import { RefreshContext } from './panel/data-age'
import { PanelView } from './panel/panel-view'
import { useBoardData } from './use-board-data'

type Props = { name: string; search: BoardSearch; onSearch: (change: BoardSearch) => void }

const PLAIN: Panel['options'] = { ...DEFAULT_OPTIONS, legend: 'table', sparkline: false }

/** One metric: its series over time, and the tags that distinguish them. */
export function MetricView({ name, search, onSearch }: Props) {
  const found = useQuery(listMetricsOptions({ query: { prefix: name, pageSize: 20 } }))
  const tags = useQuery(getMetricTagsOptions({ path: { name } }))
  const metric = found.data?.data.find((each) => each.name === name)
  const unit = metric?.unit ?? null
  const panels = useMemo<Panel[]>(
    () => [
      {
        id: 'metric',
        dashboardId: '',
        title: name,
        type: 'line',
        queries: [{ ...DEFAULT_QUERY, query: writeSelector(name) }],
        options: { ...PLAIN, unit },
        position: { x: 0, y: 0, w: 12, h: 10 },
        createdAt: '',
        updatedAt: '',
      },
    ],
    [name, unit],
  )
  const range: TimeRange = { from: search.from ?? 'now-1h', to: search.to ?? 'now' }
  const zone = search.tz ?? 'browser'
  const refresh = search.refresh ?? '10s'
  const data = useBoardData(found.isPending ? undefined : panels, range, zone, refresh)
  const zoomedFrom = useRef<Pick<BoardSearch, 'from' | 'to'>[]>([])
  const change = (some: Partial<BoardSearch>) => onSearch({ ...search, ...some })
  const [panel] = panels
  return (
    <Page
      title={name}
      actions={
        <BoardToolbar
          range={range}
          zone={zone}
          refresh={refresh}
          defaultRefresh="10s"
          onRefresh={() => void data.refetch()}
          onChange={change}
          onRange={change}
        />
      }
    >
      {found.data && !metric && (
        <p role="status" className="mb-4">
          There is no metric with this name.
        </p>
      )}
      {metric?.description && <p className="-mt-2 mb-4 text-muted">{metric.description}</p>}
      <ZoneContext value={zone}>
        <RefreshContext value={refreshEvery(range, refresh)}>
          <div className="h-[min(28rem,60vh)]">
            {panel && (
              <ErrorBoundary shown={panel} onRetry={() => void data.refetch()}>
                <PanelView
                  panel={panel}
                  filling
                  data={data.data}
                  failure={data.error ? messageOf(data.error) : undefined}
                  onRetry={() => void data.refetch()}
                  onZoom={(start, end) => {
                    zoomedFrom.current.push({ from: search.from, to: search.to })
                    change({ from: String(start), to: String(end) })
                  }}
                  onReset={() =>
                    change(zoomedFrom.current.pop() ?? { from: undefined, to: undefined })
                  }
                />
              </ErrorBoundary>
            )}
          </div>
        </RefreshContext>
      </ZoneContext>
      <h2 className="mt-6 mb-2 font-medium">Tags</h2>
      <Card className="p-4">
        {tags.error ? (
          <Failure message={messageOf(tags.error)} onRetry={() => void tags.refetch()} />
        ) : !tags.data ? (
          <Skeleton className="h-16" />
        ) : tags.data.data.length === 0 ? (
          <p className="text-muted">This metric has no tags.</p>
        ) : (
          <dl className="space-y-3">
            {tags.data.data.map((tag) => (
              <div key={tag.key} className="sm:flex sm:gap-4">
                <dt className="w-40 shrink-0 font-medium">{tag.key}</dt>
                <dd className="flex flex-wrap gap-1.5">
                  {tag.values.map(({ value, seriesCount }) => (
                    <span key={value} className="rounded bg-raised px-2 py-0.5 text-xs">
                      {value} <span className="text-muted">{seriesCount}</span>
                    </span>
                  ))}
                  {tag.truncated && <span className="text-xs text-muted">and more</span>}
                </dd>
              </div>
            ))}
          </dl>
        )}
      </Card>
    </Page>
  )
}
