import { keepPreviousData, skipToken, useQuery } from '@tanstack/react-query'
import { executeQueryBatch } from '@/api/generated/sdk.gen'
import type { BatchAnswer, BatchQuery, Panel } from '@/api/generated/types.gen'
import { isApiError, messageOf } from '@/lib/errors'
import { intervalMs, isLive, resolveRange, type TimeRange } from '@/lib/time-range'
import { fillAsked, timeScope } from '@/lib/variables'
import type { Zone } from '@/lib/zone'
import { chunk } from './chunk'

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

/** All panels' queries at once, asked again every `refresh`; old data stay until new come. */
export function useBoardData(
  panels: Panel[] | undefined,
  range: TimeRange,
  zone: Zone,
  refresh: string,
) {
  const every = isLive(range) ? intervalMs(refresh) : undefined
  const questions = panels ? questionsOf(panels) : []
  return useQuery({
    queryKey: ['board', questions, range.from, range.to, zone],
    placeholderData: keepPreviousData,
    refetchInterval: every ?? false,
    refetchIntervalInBackground: false,
    staleTime: every ? every * 0.9 : 300_000,
    retry: 0,
    meta: { silent: true },
    queryFn: questions.length ? ({ signal }) => ask(questions, range, zone, signal) : skipToken,
  })
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
