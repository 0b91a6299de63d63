import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { useMemo, useState } from 'react'
import { executeQuery } from '@/api/generated/sdk.gen'
import type { AlertChange } from '@/api/generated/types.gen'
import { joinResults } from '@/charts/chart-data'
import { colorOf, resolveColor } from '@/charts/palette'
import { TimeChart } from '@/charts/time-chart'
import { Empty, Failure, Skeleton } from '@/components/ui/controls'
import { messageOf } from '@/lib/errors'
import { useTheme } from '@/lib/theme'
import { formatNumber } from './labels'

const LIVE = 10_000
const SHOWN = 20

type Props = {
  query: string
  threshold: number | null
  /** How far back, in milliseconds. */
  span: number
  changes?: AlertChange[]
  /** What to say where the query returned nothing. */
  empty?: string
}

/** The result of a rule's query over the last `span` milliseconds, refreshed while it is shown. */
export const useRuleQuery = (query: string, span: number) =>
  useQuery({
    queryKey: ['alert-chart', query, span],
    enabled: query.trim() !== '',
    placeholderData: keepPreviousData,
    refetchInterval: LIVE,
    refetchIntervalInBackground: false,
    retry: 0,
    queryFn: async ({ signal }) => {
      const end = Date.now()
      const start = end - span
      const { data } = await executeQuery({
        body: {
          query,
          start: new Date(start).toISOString(),
          end: new Date(end).toISOString(),
          maxPoints: 400,
        },
        signal,
        throwOnError: true,
      })
      return { start, end, data: data.data }
    },
  })

/** The rule's query, live, with its threshold and where it would have fired and resolved. */
export function ThresholdChart({ query, threshold, span, changes = [], empty }: Props) {
  const theme = useTheme((state) => state.shown)
  const [zoom, setZoom] = useState<{ start: number; end: number } | null>(null)
  const result = useRuleQuery(query, span)
  const table = useMemo(
    () => (result.data ? joinResults([{ data: result.data.data }]) : { times: [], lines: [] }),
    [result.data],
  )
  const lines = table.lines.slice(0, SHOWN)
  if (!query.trim()) return <Hint>Enter a query to see it here.</Hint>
  if (result.error && !lines.length) {
    return <Failure message={messageOf(result.error)} onRetry={() => void result.refetch()} />
  }
  if (!result.data) return <Skeleton className="h-full" />
  if (!lines.length) return <Hint>{empty ?? 'The query returned no data in this range.'}</Hint>
  const values = lines.flatMap((line) => line.values.filter((value) => value !== null))
  const all = threshold === null ? values : [...values, threshold]
  const low = all.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY)
  const high = all.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY)
  const room = (high - low || Math.abs(high) || 1) * 0.1
  const marks = changes
    .filter(({ status }) => status === 'firing' || status === 'resolved')
    .map(({ at, status }) => ({
      time: new Date(at).getTime(),
      color: resolveColor(status === 'firing' ? 'var(--danger)' : 'var(--ok)'),
    }))
  return (
    <div className="flex h-full flex-col">
      <div className="min-h-0 flex-1">
        <TimeChart
          title="Rule query"
          times={table.times}
          drawn={lines.map((line) => line.values)}
          measured={lines.map((line) => line.values)}
          identity={JSON.stringify([theme, threshold, lines.map((l) => l.key), marks])}
          start={zoom?.start ?? result.data.start}
          end={zoom?.end ?? result.data.end}
          onZoom={(start, end) => setZoom({ start, end })}
          onReset={() => setZoom(null)}
          style={{
            kind: 'line',
            log: false,
            connect: false,
            binary: false,
            min: low >= 0 && low - room < 0 ? 0 : low - room,
            max: high + room,
            series: lines.map((line, index) => ({
              label: line.label,
              color: resolveColor(colorOf(index)),
            })),
            thresholds:
              threshold === null
                ? []
                : [{ value: threshold, color: resolveColor('var(--danger)') }],
            thresholdStyle: 'line',
            marks,
            axisColor: resolveColor('var(--muted)'),
            gridColor: resolveColor('var(--grid)'),
            format: formatNumber,
          }}
        />
      </div>
      {table.lines.length > SHOWN && (
        <p className="mt-1 text-xs text-muted">
          Showing {SHOWN} of {table.lines.length} series. The rule evaluates all of them.
        </p>
      )}
    </div>
  )
}

function Hint({ children }: { children: string }) {
  return (
    <div className="flex h-full items-center justify-center">
      <Empty title={children} />
    </div>
  )
}
