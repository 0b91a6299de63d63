import type { BatchAnswer, Panel, PanelQuery } from '@/api/generated/types.gen'
import { joinResults, type Table } from '@/charts/chart-data'
import { intervalMs } from '@/lib/time-range'
import { type BoardData, responseId } from '../use-board-data'

export type QueryResponse = { query: PanelQuery; response: BatchAnswer | undefined }

/** A panel's queries with their responses. */
export const responsesOf = (panel: Panel, data: BoardData | undefined): QueryResponse[] =>
  panel.queries.map((query, index) => ({
    query,
    response: data?.responses.get(responseId(panel.id, index)),
  }))

/** The letter of a query: its own, or by its place. */
export const refOf = ({ ref }: Pick<PanelQuery, 'ref'>, index: number) =>
  ref ??
  `${index >= 26 ? String.fromCharCode(64 + Math.floor(index / 26)) : ''}${String.fromCharCode(65 + (index % 26))}`

/** All responses of a panel on one time axis. */
export const tableOf = (responses: QueryResponse[]): Table =>
  joinResults(
    responses.flatMap(({ query, response }, index) =>
      response?.result
        ? [
            {
              data: response.result.data,
              alias: query.alias,
              prefix: query.query,
              ref: refOf(query, index),
              step: intervalMs(response.result.meta.resolution),
            },
          ]
        : [],
    ),
  )
