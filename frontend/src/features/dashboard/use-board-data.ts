import {
  keepPreviousData,
  queryOptions,
  skipToken,
  useQueries,
  useQuery,
} from '@tanstack/react-query'
import { useMemo, useRef } from 'react'
import { executeQueryBatch } from '@/api/generated/sdk.gen'
import type { BatchAnswer, BatchQuery, Panel, QueryFilter } from '@/api/generated/types.gen'
import { chunk } from '@/lib/chunk'
import { isApiError, messageOf } from '@/lib/errors'
import { intervalMs, refreshEvery, resolveRange, type TimeRange } from '@/lib/time-range'
import { fillTaggedQuery, timeScope } from '@/lib/variables'
import { type Zone, zoneName } from '@/lib/zone'

/** `at`: when the response came, `stale`: of the query before, until the new one has responded. */
export type BoardData = {
  start: number
  end: number
  at: number
  stale?: boolean
  responses: Map<string, BatchAnswer>
}

/** As many queries as the API accepts in one request. */
const BATCH = 100
const MAX_POINTS = 500
/** Milliseconds after which a request counts as failed: more than the server allows a query. */
const TIMEOUT = 45_000

export const responseId = (panelId: string, index: number) => `${panelId}:${index}`

type BoardQuery = Omit<BatchQuery, 'id' | 'start' | 'end'> & {
  responseId: string
  instant?: boolean
  /** A range of the panel's own, and how much earlier it is. */
  own?: { from: string | null; shift: string | null }
}

/** The step of a query of which only the newest point is read, in milliseconds. */
const NEWEST = 15_000

function queriesOf(panels: Panel[], filters: QueryFilter[], explain: boolean): BoardQuery[] {
  // In the order of the ids: a panel that is moved needs no new request.
  const ordered = [...panels].sort((a, b) => (a.id < b.id ? -1 : 1))
  return ordered.flatMap((panel) =>
    panel.queries.flatMap((query, index) =>
      query.hidden
        ? []
        : {
            responseId: responseId(panel.id, index),
            query: query.query,
            aggregation: query.aggregation,
            step: query.step,
            tags: query.tags,
            groupBy: query.groupBy,
            minStep: panel.options.minStep,
            maxPoints: MAX_POINTS,
            ...(filters.length ? { filters } : {}),
            ...(query.instant ? { instant: true } : {}),
            ...(explain ? { explain } : {}),
            ...(panel.options.timeFrom || panel.options.timeShift
              ? { own: { from: panel.options.timeFrom, shift: panel.options.timeShift } }
              : {}),
          },
    ),
  )
}

/** The queries of some panels, repeated every `refresh`. Old data stay until new data arrive. */
function boardOptions(
  panels: Panel[],
  range: TimeRange,
  zone: Zone,
  refresh: string,
  filters: QueryFilter[] = [],
  explain = false,
) {
  const every = refreshEvery(range, refresh)
  const queries = queriesOf(panels, filters, explain)
  return queryOptions({
    queryKey: [...BOARD, queries, range.from, range.to, zone],
    placeholderData: keepPreviousData,
    refetchInterval: every ?? false,
    refetchIntervalInBackground: false,
    staleTime: every ? every * 0.9 : 300_000,
    // A range that was left is worth a way back, but each holds the data of a whole board.
    gcTime: 30_000,
    retry: 0,
    queryFn: queries.length
      ? ({ signal }: { signal: AbortSignal }) => fetchBoard(queries, range, zone, signal)
      : skipToken,
  })
}

/** The data of a few panels. */
export function useBoardData(
  panels: Panel[] | undefined,
  range: TimeRange,
  zone: Zone,
  refresh: string,
  filters?: QueryFilter[],
) {
  const { data, isPlaceholderData, error, refetch, isFetching } = useQuery(
    boardOptions(panels ?? [], range, zone, refresh, filters),
  )
  const shown = useMemo(
    () => (data && isPlaceholderData ? { ...data, stale: true } : data),
    [data, isPlaceholderData],
  )
  return { data: shown, error, refetch, isFetching }
}

/** How the queries of a panel are executed, when it is asked for: not repeated. */
export function useExplain(
  panel: Panel | undefined,
  range: TimeRange,
  zone: Zone,
  filters?: QueryFilter[],
) {
  return useQuery(boardOptions(panel ? [panel] : [], range, zone, '', filters, true))
}

/** The key of all queries of panels, for what shows whether they are being fetched. */
export const BOARD = ['board'] as const

/** Panels per request: all of an ordinary board, a few screens of a long one. */
const GROUP = 24

/**
 * What the panels of a board show, by panel. Groups that are far from the visible part are not
 * queried: a board of two hundred panels costs what its visible part costs.
 */
export function useLongBoardData(
  panels: Panel[] | undefined,
  visible: ReadonlySet<string>,
  range: TimeRange,
  zone: Zone,
  refresh: string,
  filters?: QueryFilter[],
) {
  const groups = useMemo(() => chunk(panels ?? [], GROUP), [panels])
  // What each panel showed last: another range or variable replaces it once its data are here.
  const last = useRef(new Map<string, BoardData>())
  const results = useQueries({
    queries: groups.map((group) => ({
      ...boardOptions(group, range, zone, refresh, filters),
      enabled: groups.length === 1 || group.some(({ id }) => visible.has(id)),
    })),
  })
  const groupOf = useMemo(
    () => new Map(groups.flatMap((group, index) => group.map(({ id }) => [id, index] as const))),
    [groups],
  )
  const resultOf = (panelId: string) => results[groupOf.get(panelId) ?? -1]
  const before = last.current
  last.current = new Map()
  for (const id of groupOf.keys()) {
    const result = resultOf(id)
    const fresh = result?.isPlaceholderData ? undefined : result?.data
    const old = before.get(id)
    const shown = fresh ?? (old && (old.stale ? old : { ...old, stale: true }))
    if (shown) last.current.set(id, shown)
  }
  return {
    dataOf: (panelId: string): BoardData | undefined => last.current.get(panelId),
    failureOf: (panelId: string) => {
      const error = resultOf(panelId)?.error
      return error ? messageOf(error) : undefined
    },
    refetch: () => {
      groups.forEach((group, index) => {
        if (groups.length === 1 || group.some(({ id }) => visible.has(id)))
          void results[index]?.refetch()
      })
    },
  }
}

type Times = { start: number; end: number }

const isoTimes = ({ start, end }: Times) => ({
  start: new Date(start).toISOString(),
  end: new Date(end).toISOString(),
})

/** The times of a query: the board's, or the panel's own (`1h`, `now/d`), shifted into the past. */
export function timesOf(board: Times, own: BoardQuery['own'], zone: Zone): Times {
  if (!own) return board
  const from = own.from?.startsWith('now') ? own.from : own.from && `now-${own.from}`
  const range = from ? resolveRange({ from, to: 'now' }, board.end, zone) : board
  const shift = intervalMs(own.shift ?? '') ?? 0
  return { start: range.start - shift, end: range.end - shift }
}

async function fetchBoard(
  queries: BoardQuery[],
  range: TimeRange,
  zone: Zone,
  signal: AbortSignal,
): Promise<BoardData> {
  const { start, end } = resolveRange(range, Date.now(), zone)
  const between = { start: new Date(start).toISOString(), end: new Date(end).toISOString() }
  const responses = new Map<string, BatchAnswer>()
  const failures: unknown[] = []
  const batches = chunk(queries, BATCH)
  await Promise.all(
    batches.map(async (batch) => {
      try {
        const { data } = await executeQueryBatch({
          body: {
            ...between,
            queries: batch.map(({ responseId: _, instant, own, ...query }, index) => {
              const times = timesOf({ start, end }, own, zone)
              return {
                ...fillTaggedQuery(query, timeScope(times.start, times.end)),
                timezone: zoneName(zone),
                ...(instant
                  ? { ...isoTimes({ start: times.end - NEWEST, end: times.end }), step: '15s' }
                  : own && isoTimes(times)),
                id: `${index}`,
              }
            }),
          },
          signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT)]),
          throwOnError: true,
        })
        for (const response of data.data) {
          const query = batch[Number(response.id)]
          if (query) responses.set(query.responseId, response)
        }
      } catch (failure) {
        failures.push(failure)
        const error = isApiError(failure)
          ? failure
          : {
              code: 'UNAVAILABLE' as const,
              error: messageOf(failure),
              details: null,
              requestId: null,
            }
        for (const query of batch)
          responses.set(query.responseId, { id: query.responseId, result: null, error })
      }
    }),
  )
  // If one of several batches fails, only its own panels are affected.
  if (failures.length === batches.length) throw failures[0]
  return { start, end, at: Date.now(), responses }
}
