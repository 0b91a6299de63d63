import {
  memo,
  type ReactNode,
  use,
  useCallback,
  useDeferredValue,
  useEffect,
  useMemo,
  useRef,
} from 'react'
import type { Panel } from '@/api/generated/types.gen'
import type { Table } from '@/charts/chart-data'
import { Empty, Failure, Skeleton } from '@/components/ui/controls'
import type { BoardData } from '../use-board-data'
import { ObservePanelContext } from '../visible-panels'
import { StillLoading } from './data-age'
import { NoData } from './no-data'
import { PanelHeader } from './panel-header'
import { PanelLines } from './panel-lines'
import { responsesOf, tableOf } from './panel-results'
import { Gauge, Stat, ValueTable } from './panel-values'

type Props = {
  panel: Panel
  /** Fills its container instead of its position in the grid. */
  filling?: boolean
  /** Buttons on the right of the header. */
  actions?: ReactNode
  data: BoardData | undefined
  failure: string | undefined
  onRetry: () => void
  onZoom: (start: number, end: number) => void
  onReset: () => void
}

export function PanelView({
  panel,
  filling,
  actions,
  data: newest,
  failure,
  onRetry,
  onZoom,
  onReset,
}: Props) {
  // A refresh is deferred, panel by panel, until nothing more urgent is pending; what the user
  // requested is shown at once.
  const deferred = useDeferredValue(newest)
  const data = isRefresh(deferred, newest) ? deferred : newest
  const box = useRef<HTMLElement>(null)
  const observe = use(ObservePanelContext)
  useEffect(() => (box.current ? observe(box.current) : undefined), [observe])
  const calls = useRef({ onZoom, onReset })
  calls.current = { onZoom, onReset }
  const zoom = useCallback((start: number, end: number) => calls.current.onZoom(start, end), [])
  const reset = useCallback(() => calls.current.onReset(), [])
  const responses = useMemo(() => responsesOf(panel, data), [panel, data])
  const table = useMemo(() => tableOf(responses), [responses])
  const ownError = responses.find(({ response }) => response?.error)?.response?.error?.error
  const meta = responses.find(({ response }) => response?.result)?.response?.result?.meta
  const hasQuery = panel.queries.some((query) => !query.hidden)
  const responded = responses.some(({ response }) => response)
  const { x, y, w, h } = panel.position
  return (
    <section
      ref={box}
      aria-label={panel.title}
      data-panel={panel.id}
      className={`group flex min-w-0 flex-col rounded-lg border border-line bg-surface shadow-(--shadow) ${filling ? 'h-full' : 'max-[760px]:h-64'}`}
      style={
        filling
          ? undefined
          : { gridColumn: `${x + 1} / span ${w}`, gridRow: `${y + 1} / span ${h}` }
      }
    >
      <PanelHeader
        panel={panel}
        meta={meta}
        failure={table.lines.length > 0 ? (failure ?? ownError) : undefined}
        at={newest?.at}
        stale={newest?.stale === true}
        actions={actions}
      />
      <div className="min-h-0 flex-1 px-3 pb-2">
        {table.lines.length > 0 && data ? (
          <Body panel={panel} table={table} data={data} onZoom={zoom} onReset={reset} />
        ) : (failure ?? ownError) ? (
          <Failure message={failure ?? ownError ?? ''} onRetry={onRetry} />
        ) : !hasQuery ? (
          <div className="flex h-full items-center justify-center">
            <Empty title="This panel has no queries" />
          </div>
        ) : data && responded ? (
          <NoData panel={panel} data={data} onZoom={onZoom} onReset={onReset} />
        ) : (
          <div className="relative h-full">
            <Skeleton className="h-full" />
            <StillLoading />
          </div>
        )}
      </div>
    </section>
  )
}

/** Ranges such as today's grow a little with each refresh; a zoom or another range changes more. */
const isRefresh = (before: BoardData | undefined, after: BoardData | undefined) =>
  before !== undefined &&
  after !== undefined &&
  Math.abs(after.end - after.start - (before.end - before.start)) <=
    (before.end - before.start) / 20

type BodyProps = Pick<Props, 'panel' | 'onZoom' | 'onReset'> & { table: Table; data: BoardData }

/** Memoised: drawn again only when its data or options change, not when the page renders. */
const Body = memo(function Body({ panel, table, data, onZoom, onReset }: BodyProps) {
  switch (panel.type) {
    case 'stat':
      return <Stat panel={panel} table={table} />
    case 'gauge':
      return <Gauge panel={panel} table={table} />
    case 'table':
      return <ValueTable panel={panel} table={table} />
    default:
      return (
        <PanelLines
          panel={panel}
          kind={panel.type}
          table={table}
          data={data}
          onZoom={onZoom}
          onReset={onReset}
        />
      )
  }
})
