import { keepPreviousData, skipToken, useQuery } from '@tanstack/react-query'
import { executeQueryBatch } from '@/api/generated/sdk.gen'
import type { BatchAnswer, Dashboard } from '@/api/generated/types.gen'
import { intervalMs, isLive, resolveRange, type TimeRange } from '@/lib/time-range'

export type BoardData = { start: number; end: number; answers: Map<string, BatchAnswer> }

export const answerId = (panelId: string, index: number) => `${panelId}:${index}`

/** All panels' queries in one request, asked again every `refresh`; old data stay until new come. */
export function useBoardData(board: Dashboard | undefined, range: TimeRange, refresh: string) {
  const every = isLive(range) ? intervalMs(refresh) : undefined
  return useQuery({
    queryKey: ['board', board?.id, board?.version, range.from, range.to],
    enabled: board?.panels.some((panel) => panel.queries.length > 0),
    placeholderData: keepPreviousData,
    refetchInterval: every ?? false,
    refetchIntervalInBackground: false,
    staleTime: every ? every * 0.9 : 300_000,
    retry: 0,
    meta: { silent: true },
    queryFn: board?.panels.length ? ({ signal }) => ask(board, range, signal) : skipToken,
  })
}

async function ask(board: Dashboard, range: TimeRange, signal: AbortSignal): Promise<BoardData> {
  const { start, end } = resolveRange(range, Date.now())
  const queries = board.panels.flatMap((panel) =>
    panel.queries
      .map((query, index) => ({ query, id: answerId(panel.id, index) }))
      .filter(({ query }) => !query.hidden)
      .map(({ query, id }) => ({
        id,
        query: query.query,
        aggregation: query.aggregation,
        step: query.step,
        tags: query.tags,
        groupBy: query.groupBy,
        maxPoints: 500,
      })),
  )
  const { data } = await executeQueryBatch({
    body: {
      start: new Date(start).toISOString(),
      end: new Date(end).toISOString(),
      queries,
    },
    signal,
    throwOnError: true,
  })
  return { start, end, answers: new Map(data.data.map((answer) => [answer.id, answer])) }
}
