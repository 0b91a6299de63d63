import { type ComponentType, lazy, type ReactNode, Suspense, use, useMemo } from 'react'
import type { Panel } from '@/api/generated/types.gen'
import type { Table } from '@/charts/chart-data'
import { framesOf, linesOf } from '@/charts/frames'
import { needsPatterns } from '@/charts/series-style'
import { transformed } from '@/charts/transformations'
import { Skeleton } from '@/components/ui/controls'
import { loadPatterns } from '@/lib/patterns'
import { LinkContextProvider } from '../field-links'
import type { BoardData } from '../use-board-data'
import type { KindProps } from './kinds/kind-props'
import { inTable } from './panel-kinds'
import { type QueryResponse, refOf } from './panel-results'
import { TablePanel } from './table-panel'

const KINDS: Partial<Record<Panel['type'], ComponentType<KindProps>>> = {
  barGauge: lazy(() => import('./kinds/bar-gauge')),
  pie: lazy(() => import('./kinds/pie-chart')),
  heatmap: lazy(() => import('./kinds/heatmap')),
  histogram: lazy(() => import('./kinds/histogram')),
  stateTimeline: lazy(() => import('./kinds/state-rows')),
  statusHistory: lazy(() => import('./kinds/state-rows')),
  barChart: lazy(() => import('./kinds/bar-chart')),
  xy: lazy(() => import('./kinds/xy-chart')),
}

type Props = {
  panel: Panel
  table: Table
  responses: QueryResponse[]
  data: BoardData
  /** Draws the lines that the transformations leave. */
  children: (lines: Table) => ReactNode
}

/** A panel of a kind of its own, a table with columns, or one whose results are transformed. */
export default function FramedPanel({ panel, table, responses, data, children }: Props) {
  const link = use(LinkContextProvider)
  const { transformations, overrides } = panel.options
  if (needsPatterns(overrides)) use(loadPatterns())
  const frames = useMemo(
    () =>
      transformed(
        framesOf(
          responses.map(({ query, response }, index) => ({
            query,
            response,
            ref: refOf(query, index),
          })),
        ),
        transformations,
      ),
    [responses, transformations],
  )
  const lines = useMemo(
    () => (transformations.length ? linesOf(frames) : table),
    [transformations, frames, table],
  )
  if (inTable(panel)) {
    return <TablePanel panel={panel} table={table} frames={frames} data={data} link={link} />
  }
  const Kind = KINDS[panel.type]
  if (!Kind) return children(lines)
  return (
    <Suspense fallback={<Skeleton className="h-full" />}>
      <Kind panel={panel} table={lines} frames={frames} data={data} />
    </Suspense>
  )
}
