import { TriangleAlert } from 'lucide-react'
import {
  lazy,
  memo,
  type ReactNode,
  Suspense,
  use,
  useCallback,
  useEffect,
  useMemo,
  useRef,
} from 'react'
import type { Panel } from '@/api/generated/types.gen'
import type { Table } from '@/charts/chart-data'
import { needsPatterns } from '@/charts/series-style'
import { Empty, Failure, Skeleton } from '@/components/ui/controls'
import { loadPatterns } from '@/lib/patterns'
import type { BoardData } from '../use-board-data'
import { ObservePanelContext } from '../visible-panels'
import { StillLoading } from './data-age'
import { NoData } from './no-data'
import { PanelHeader } from './panel-header'
import { inTable, needsFrames } from './panel-kinds'
import { PanelLines } from './panel-lines'
import { responsesOf, tableOf } from './panel-results'
import { Gauge, Stat, ValueTable } from './panel-values'
import { useShownData } from './use-shown-data'

const FramedPanel = lazy(() => import('./framed-panel'))
const TextPanel = lazy(() => import('./kinds/text-panel'))
const AlertList = lazy(() => import('./kinds/lists').then((m) => ({ default: m.AlertList })))
const DashboardList = lazy(() =>
  import('./kinds/lists').then((m) => ({ default: m.DashboardList })),
)
const UnknownPanel = lazy(() => import('./kinds/lists').then((m) => ({ default: m.UnknownPanel })))

/** Panels that draw no query. */
const STANDALONE: Partial<Record<Panel['type'], typeof AlertList>> = {
  text: TextPanel,
  alertList: AlertList,
  dashboardList: DashboardList,
  unknown: UnknownPanel,
}

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
  const data = useShownData(newest)
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
  const Standalone = STANDALONE[panel.type]
  return (
    <section
      ref={box}
      aria-label={panel.title || panel.type}
      data-panel={panel.id}
      className={`panel-box group relative flex min-w-0 flex-col rounded-lg border border-line bg-surface shadow-(--shadow) ${filling ? 'h-full' : 'max-[760px]:h-64'}`}
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
      <div className="panel-body min-h-0 flex-1 px-3 pb-2">
        {Standalone ? (
          <Suspense fallback={<Skeleton className="h-full" />}>
            <Standalone panel={panel} />
          </Suspense>
        ) : table.lines.length > 0 && data ? (
          needsFrames(panel) ? (
            <Suspense fallback={<Skeleton className="h-full" />}>
              <FramedPanel panel={panel} table={table} responses={responses} data={data}>
                {(lines) => (
                  <Body panel={panel} table={lines} data={data} onZoom={zoom} onReset={reset} />
                )}
              </FramedPanel>
            </Suspense>
          ) : (
            <Suspense fallback={<Skeleton className="h-full" />}>
              <Body panel={panel} table={table} data={data} onZoom={zoom} onReset={reset} />
            </Suspense>
          )
        ) : (failure ?? ownError) ? (
          <SmallOr text={failure ?? ownError ?? ''} failed>
            <Failure message={failure ?? ownError ?? ''} onRetry={onRetry} />
          </SmallOr>
        ) : !hasQuery ? (
          <div className="flex h-full items-center justify-center">
            <Empty title="This panel has no queries" />
          </div>
        ) : data && responded ? (
          <SmallOr text="No data in this range">
            <NoData panel={panel} data={data} onZoom={onZoom} onReset={onReset} />
          </SmallOr>
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

/** In a body too low for sentences: a sign with the sentence as its tooltip. */
function SmallOr({
  text,
  failed,
  children,
}: {
  text: string
  failed?: boolean
  children: ReactNode
}) {
  return (
    <>
      <div className="when-tall h-full">{children}</div>
      <div className="when-low h-full items-center justify-center">
        <span
          role="img"
          aria-label={text}
          title={text}
          className={failed ? 'text-danger' : 'text-muted'}
        >
          {failed ? <TriangleAlert size={18} aria-hidden="true" /> : '–'}
        </span>
      </div>
    </>
  )
}

type BodyProps = Pick<Props, 'panel' | 'onZoom' | 'onReset'> & { table: Table; data: BoardData }

/** Memoised: drawn again only when its data or options change, not when the page renders. */
const Body = memo(function Body({ panel, table, data, onZoom, onReset }: BodyProps) {
  if (needsPatterns(panel.options.overrides)) use(loadPatterns())
  switch (panel.type) {
    case 'stat':
      return <Stat panel={panel} table={table} />
    case 'gauge':
      return <Gauge panel={panel} table={table} />
    case 'table':
      // One with label columns is a framed panel.
      return inTable(panel) ? null : <ValueTable panel={panel} table={table} />
    default:
      return (
        <PanelLines
          panel={panel}
          kind={panel.type === 'bar' || panel.type === 'area' ? panel.type : 'line'}
          table={table}
          data={data}
          onZoom={onZoom}
          onReset={onReset}
        />
      )
  }
})
