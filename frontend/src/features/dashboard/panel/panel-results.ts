import type { BatchAnswer, Panel, PanelQuery } from '@/api/generated/types.gen'
import { joinAnswers, type Table } from '@/charts/chart-data'
import { answerId, type BoardData } from '../use-board-data'

export type Answered = { query: PanelQuery; answer: BatchAnswer | undefined }

/** A panel's queries with what was answered to each. */
export const answersOf = (panel: Panel, data: BoardData | undefined): Answered[] =>
  panel.queries.map((query, index) => ({
    query,
    answer: data?.answers.get(answerId(panel.id, index)),
  }))

/** All answers of a panel on one time axis. */
export const tableOf = (answers: Answered[]): Table =>
  joinAnswers(
    answers.flatMap(({ query, answer }) =>
      answer?.result ? [{ data: answer.result.data, alias: query.alias, prefix: query.query }] : [],
    ),
  )
