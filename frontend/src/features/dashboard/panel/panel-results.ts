import type { BatchAnswer, Panel, PanelQuery } from '@/api/generated/types.gen'
import { joinResults, type Table } from '@/charts/chart-data'
import { type BoardData, responseId } from '../use-board-data'

export type QueryResponse = { query: PanelQuery; response: BatchAnswer | undefined }

/** A panel's queries with their responses. */
export const responsesOf = (panel: Panel, data: BoardData | undefined): QueryResponse[] =>
  panel.queries.map((query, index) => ({
    query,
    response: data?.responses.get(responseId(panel.id, index)),
  }))

/** All responses of a panel on one time axis. */
export const tableOf = (responses: QueryResponse[]): Table =>
  joinResults(
    responses.flatMap(({ query, response }) =>
      response?.result
        ? [{ data: response.result.data, alias: query.alias, prefix: query.query }]
        : [],
    ),
  )
