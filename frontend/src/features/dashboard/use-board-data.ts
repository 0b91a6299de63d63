import {
  keepPreviousData,
  queryOptions,
  skipToken,
  useQueries,
  useQuery,
} from '@tanstack/react-query'
import { useMemo } from 'react'
import { executeQueryBatch } from '@/api/generated/sdk.gen'
import type { BatchAnswer, BatchQuery, Panel } from '@/api/generated/types.gen'
import { chunk } from '@/lib/chunk'
import { isApiError, messageOf } from '@/lib/errors'
import { intervalMs, isLive, resolveRange, type TimeRange } from '@/lib/time-range'
import { fillAsked, timeScope } from '@/lib/variables'
import type { Zone } from '@/lib/zone'

export type BoardData = { start: number; end: number; answers: Map<string, BatchAnswer> }

/** As many questions as the API takes in one request. */
const BATCH = 100
const MAX_POINTS = 500

export const answerId = (panelId: string, index: number) => `${panelId}:${index}`

type Question = Omit<BatchQuery, 'id'> & { answerId: string }

function questionsOf(panels: Panel[]): Question[] {
  return panels.flatMap((panel) =>
    panel.queries.flatMap((query, index) =>
      query.hidden
        ? []
        : {
            answerId: answerId(panel.id, index),
            query: query.query,
            aggregation: query.aggregation,
            step: query.step,
            tags: query.tags,
            groupBy: query.groupBy,
            maxPoints: MAX_POINTS,
          },
    ),
  )
}

/** The queries of some panels at once, asked again every `refresh`; old data stay meanwhile. */
function boardOptions(panels: Panel[], range: TimeRange, zone: Zone, refresh: string) {
  const every = isLive(range) ? intervalMs(refresh) : undefined
  const questions = questionsOf(panels)
  return queryOptions({
    queryKey: ['board', questions, range.from, range.to, zone],
    placeholderData: keepPreviousData,
    refetchInterval: every ?? false,
    refetchIntervalInBackground: false,
    staleTime: every ? every * 0.9 : 300_000,
    retry: 0,
    meta: { silent: true },
    queryFn: questions.length
      ? ({ signal }: { signal: AbortSignal }) => ask(questions, range, zone, signal)
      : skipToken,
  })
}

/** What a few panels show. */
export const useBoardData = (
  panels: Panel[] | undefined,
  range: TimeRange,
  zone: Zone,
  refresh: string,
) => useQuery(boardOptions(panels ?? [], range, zone, refresh))

/** As many panels as are asked together: all of an ordinary board, a few screens of a long one. */
const GROUP = 24

/**
 * What the panels of a board show, by panel. Groups that are far from what is on the screen are not
 * asked: a board of two hundred panels costs what its visible part costs.
 */
export function useLongBoardData(
  panels: Panel[] | undefined,
  near: ReadonlySet<string>,
  range: TimeRange,
  zone: Zone,
  refresh: string,
) {
  const groups = useMemo(() => chunk(panels ?? [], GROUP), [panels])
  const results = useQueries({
    queries: groups.map((group) => ({
      ...boardOptions(group, range, zone, refresh),
      enabled: groups.length === 1 || group.some(({ id }) => near.has(id)),
    })),
  })
  const groupOf = useMemo(
    () => new Map(groups.flatMap((group, index) => group.map(({ id }) => [id, index] as const))),
    [groups],
  )
  const resultOf = (panelId: string) => results[groupOf.get(panelId) ?? -1]
  return {
    dataOf: (panelId: string): BoardData | undefined => resultOf(panelId)?.data,
    failureOf: (panelId: string) => {
      const error = resultOf(panelId)?.error
      return error ? messageOf(error) : undefined
    },
    isFetching: results.some((result) => result.isFetching),
    refetch: () => {
      groups.forEach((group, index) => {
        if (groups.length === 1 || group.some(({ id }) => near.has(id)))
          void results[index]?.refetch()
      })
    },
  }
}

async function ask(
  questions: Question[],
  range: TimeRange,
  zone: Zone,
  signal: AbortSignal,
): Promise<BoardData> {
  const { start, end } = resolveRange(range, Date.now(), zone)
  const between = { start: new Date(start).toISOString(), end: new Date(end).toISOString() }
  const windows = timeScope(start, end, MAX_POINTS)
  const answers = new Map<string, BatchAnswer>()
  const failures: unknown[] = []
  const batches = chunk(questions, BATCH)
  await Promise.all(
    batches.map(async (batch) => {
      try {
        const { data } = await executeQueryBatch({
          body: {
            ...between,
            queries: batch.map(({ answerId: _, ...query }, index) => ({
              ...fillAsked(query, windows),
              id: `${index}`,
            })),
          },
          signal,
          throwOnError: true,
        })
        for (const answer of data.data) {
          const asked = batch[Number(answer.id)]
          if (asked) answers.set(asked.answerId, answer)
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
        for (const asked of batch)
          answers.set(asked.answerId, { id: asked.answerId, result: null, error })
      }
    }),
  )
  // One lost batch of several costs its own panels alone.
  if (failures.length === batches.length) throw failures[0]
  return { start, end, answers }
}
