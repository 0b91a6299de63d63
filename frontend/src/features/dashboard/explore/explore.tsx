import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { LayoutDashboard } from 'lucide-react'
import { useState } from 'react'
import { toast } from 'sonner'
import { addPanel } from '@/api/generated/sdk.gen'
import type { BatchAnswer, DashboardSummary, Panel, PanelQuery } from '@/api/generated/types.gen'
import { ErrorBoundary } from '@/components/error-boundary'
import { Button, Card, Empty, Page, Select } from '@/components/ui/controls'
import { messageOf } from '@/lib/errors'
import { isLive, refreshEvery, type TimeRange } from '@/lib/time-range'
import { toastAction } from '@/lib/toast-action'
import { useDebounced } from '@/lib/use-debounced'
import { useTypedValue } from '@/lib/use-typed-text'
import { type Zone, ZoneContext } from '@/lib/zone'
import { ChooseDashboard } from '../edit-mode/choose-dashboard'
import { newPanel } from '../edit-mode/new-panel'
import { boardKey } from '../edit-mode/use-draft'
import { RefreshContext } from '../panel/data-age'
import { PanelView } from '../panel/panel-view'
import { hideInvalid, queryErrors } from '../panel-editor/query-errors'
import { QueryRows } from '../panel-editor/query-rows'
import { RangePicker } from '../range-picker'
import { RefreshControl } from '../refresh-control'
import { responseId, useBoardData } from '../use-board-data'
import { CHART_TYPES, type ExploreSearch, readQueries, writeQueries } from './explore-search'

type Props = {
  search: ExploreSearch
  /** `replace` while typing: going back leads to another query, not to another letter. */
  onSearch: (change: ExploreSearch, replace?: boolean) => void
}

const DEFAULT_REFRESH = '10s'
const ID = 'explore'
const NAMES = { line: 'Line', area: 'Area', bar: 'Bars', stat: 'Stat', gauge: 'Gauge' }

/** An ad-hoc query, shown as chart and table, with its statistics. */
export function Explore({ search, onSearch }: Props) {
  const [queries, setQueries] = useTypedValue(
    readQueries(search),
    (next) => onSearch({ ...search, q: writeQueries(next) }, true),
    (next) => readQueries({ q: writeQueries(next) }),
  )
  const type = search.type ?? 'line'
  const range: TimeRange = { from: search.from ?? 'now-1h', to: search.to ?? 'now' }
  const zone: Zone = search.tz ?? 'browser'
  const refresh = search.refresh ?? DEFAULT_REFRESH
  const debounced = useDebounced(queries, 350)
  const panel: Panel = {
    ...newPanel({ id: ID }, []),
    id: ID,
    title: 'Chart',
    type,
    queries: hideInvalid(debounced),
  }
  const { data, error, refetch, isFetching } = useBoardData([panel], range, zone, refresh)
  const text = JSON.stringify([debounced, type])
  const hasQuery = queries.some((query) => query.query.trim() && !query.hidden)
  const view = {
    data,
    failure: error ? messageOf(error) : undefined,
    onRetry: () => void refetch(),
    onZoom: (start: number, end: number) =>
      onSearch({ ...search, from: String(start), to: String(end) }),
    onReset: () => onSearch({ ...search, from: undefined, to: undefined }),
  }
  return (
    <Page
      title="Explore"
      actions={
        <div className="flex min-w-0 flex-wrap items-center gap-2">
          <RangePicker
            range={range}
            zone={zone}
            onChange={(next) => onSearch({ ...search, ...next })}
            onZone={(tz) => onSearch({ ...search, tz })}
          />
          <RefreshControl
            refresh={refresh}
            defaultRefresh={DEFAULT_REFRESH}
            live={isLive(range)}
            fetching={isFetching}
            onRefresh={() => void refetch()}
            onChange={(every) => onSearch({ ...search, refresh: every })}
          />
          <AddToDashboard panel={{ ...panel, queries }} disabled={!hasQuery} />
        </div>
      }
    >
      <ZoneContext value={zone}>
        <RefreshContext value={refreshEvery(range, refresh)}>
          <div className="space-y-4">
            <ErrorBoundary shown={queries}>
              <QueryRows
                panel={{ ...panel, queries }}
                fieldErrors={queryErrors(queries)}
                errorOf={(index) => data?.responses.get(responseId(ID, index))?.error}
                onChange={setQueries}
              />
            </ErrorBoundary>
            {hasQuery ? (
              <>
                <div className="flex items-center gap-2">
                  <Select
                    label="Draw as"
                    value={type}
                    onChange={(event) =>
                      onSearch({
                        ...search,
                        type: CHART_TYPES.find((known) => known === event.target.value),
                      })
                    }
                  >
                    {CHART_TYPES.map((known) => (
                      <option key={known} value={known}>
                        {NAMES[known]}
                      </option>
                    ))}
                  </Select>
                </div>
                <div className="h-96">
                  <ErrorBoundary shown={text} onRetry={view.onRetry}>
                    <PanelView filling panel={panel} {...view} />
                  </ErrorBoundary>
                </div>
                <ErrorBoundary shown={text} onRetry={view.onRetry}>
                  <Cost
                    responses={panel.queries.map((query, index) => ({
                      query,
                      response: data?.responses.get(responseId(ID, index)),
                    }))}
                  />
                </ErrorBoundary>
                <div className="h-80">
                  <ErrorBoundary shown={text} onRetry={view.onRetry}>
                    <PanelView
                      filling
                      panel={{ ...panel, title: 'Values', type: 'table' }}
                      {...view}
                    />
                  </ErrorBoundary>
                </div>
              </>
            ) : (
              <Card>
                <Empty title="Enter a query">
                  Start with a metric, such as <code>cpu_usage_percent</code>, or an expression:{' '}
                  <code>avg by (host) (cpu_usage_percent)</code>. Press Ctrl+Space to list the
                  available metrics.
                </Empty>
              </Card>
            )}
          </div>
        </RefreshContext>
      </ZoneContext>
    </Page>
  )
}

const number = (value: number | undefined) => (value ?? 0).toLocaleString('en-US')

function Cost({
  responses,
}: {
  responses: { query: PanelQuery; response: BatchAnswer | undefined }[]
}) {
  const rows = responses.flatMap(({ query, response }) =>
    response?.result ? [{ query, ...response.result }] : [],
  )
  if (!rows.length) return null
  return (
    <Card className="overflow-x-auto">
      <table className="stacked w-full text-sm tabular-nums">
        <caption className="px-3 pt-3 text-left font-medium">Query statistics</caption>
        <thead className="text-left text-xs text-muted">
          <tr>
            {['Query', 'Read from', 'Step', 'Series', 'Rows read', 'Time'].map((name) => (
              <th key={name} scope="col" className="px-3 py-2 font-medium">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map(({ query, data, meta }, index) => (
            <tr key={`${index}-${query.query}`} className="border-t border-line">
              <td className="line max-w-96 px-3 py-2">
                <span className="block truncate font-mono text-[13px]">{query.query}</span>
                {meta.notes?.map((note) => (
                  <span key={note} className="block text-xs text-muted">
                    {note}
                  </span>
                ))}
              </td>
              <td className="px-3 py-2" data-label="Read from">
                {meta.table}
              </td>
              <td className="px-3 py-2" data-label="Step">
                {meta.resolution}
              </td>
              <td className="px-3 py-2" data-label="Series">
                {number(data.series.length)}
              </td>
              <td className="px-3 py-2" data-label="Rows read">
                {number(meta.rowsRead)}
              </td>
              <td className="px-3 py-2 whitespace-nowrap" data-label="Time">
                {meta.cached ? 'cached' : `${number(Math.round(meta.durationMs ?? 0))} ms`}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Card>
  )
}

function AddToDashboard({ panel, disabled }: { panel: Panel; disabled: boolean }) {
  const [open, setOpen] = useState(false)
  const navigate = useNavigate()
  const cache = useQueryClient()
  const add = useMutation({
    mutationFn: async (target: DashboardSummary) => {
      const { type, options, position } = panel
      const queries = panel.queries.filter((query) => query.query.trim())
      const title = queries[0]?.query.slice(0, 100) ?? 'Explore query'
      await addPanel({
        path: { dashboard_id: target.id },
        body: { title, type, options, position, queries },
        throwOnError: true,
      })
      return target
    },
    onSuccess: (target) => {
      void cache.invalidateQueries({ queryKey: boardKey(target.id) })
      setOpen(false)
      toast.success(`Added to ${target.name}`, {
        ...toastAction(
          'Open',
          () => void navigate({ to: '/dashboards/$id', params: { id: target.id } }),
        ),
      })
    },
  })
  return (
    <>
      <Button disabled={disabled} onClick={() => setOpen(true)}>
        <LayoutDashboard size={16} aria-hidden="true" /> Add to dashboard
      </Button>
      {open && (
        <ChooseDashboard
          title="Add to"
          busy={add.isPending}
          onChoose={(board) => add.mutate(board)}
          onClose={() => setOpen(false)}
        />
      )}
    </>
  )
}
