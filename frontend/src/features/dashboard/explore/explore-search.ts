import type { PanelQuery } from '@/api/generated/types.gen'
import { DEFAULT_QUERY } from '@/lib/panel-defaults'
import { oneText } from '@/lib/search-params'
import type { Zone } from '@/lib/zone'
import { AGGREGATIONS } from '../panel-editor/new-query'

export const CHART_TYPES = ['line', 'area', 'bar', 'stat', 'gauge'] as const
export type ChartType = (typeof CHART_TYPES)[number]

/** The state of Explore in its URL: a query is its text, or JSON when it has other options. */
export type ExploreSearch = {
  q?: string | string[]
  type?: ChartType
  from?: string
  to?: string
  refresh?: string
  tz?: Zone
}

export function readExploreSearch(search: Record<string, unknown>): ExploreSearch {
  const tz = oneText(search.tz)
  const type = oneText(search.type)
  const texts = (Array.isArray(search.q) ? search.q : [search.q]).filter(
    (text): text is string => typeof text === 'string',
  )
  return {
    q: texts.length ? texts : undefined,
    type: CHART_TYPES.find((known) => known === type),
    from: oneText(search.from),
    to: oneText(search.to),
    refresh: oneText(search.refresh),
    tz: tz === 'utc' || tz === 'browser' ? tz : undefined,
  }
}

export function readQueries(search: ExploreSearch): PanelQuery[] {
  const texts = [search.q ?? []].flat()
  return texts.length ? texts.map(readQuery) : [DEFAULT_QUERY]
}

const isText = (value: unknown) => typeof value === 'string'
const isTextOrNull = (value: unknown) => value === null || isText(value)

/**
 * Whether the options of a query have the types that a form expects; what they say need not be valid
 * yet, since a query comes back from the URL while it is typed. No schema: every page reads a URL.
 */
const READABLE: Record<keyof PanelQuery, (value: unknown) => boolean> = {
  query: isText,
  aggregation: (value) => AGGREGATIONS.some((known) => known === value),
  step: isTextOrNull,
  tags: (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
  groupBy: (value) => value === null || (Array.isArray(value) && value.every(isText)),
  alias: isTextOrNull,
  hidden: (value) => typeof value === 'boolean',
  ref: isTextOrNull,
  instant: (value) => typeof value === 'boolean',
  format: (value) => value === 'series' || value === 'table' || value === 'heatmap',
}

function readQuery(text: string): PanelQuery {
  if (text.startsWith('{')) {
    try {
      const given = JSON.parse(text) as Record<string, unknown>
      const query: Record<string, unknown> = { ...DEFAULT_QUERY }
      for (const key of Object.keys(DEFAULT_QUERY)) if (key in given) query[key] = given[key]
      const readable = Object.entries(READABLE).every(([key, fits]) => fits(query[key]))
      if ('query' in given && readable) return query as PanelQuery
    } catch {
      // A selector such as {"system.cpu"} is not JSON.
    }
  }
  return { ...DEFAULT_QUERY, query: text }
}

export function writeQueries(queries: PanelQuery[]): string[] {
  return queries.map((query) => {
    const own = Object.entries(query).filter(
      ([key, value]) =>
        JSON.stringify(value) !== JSON.stringify(DEFAULT_QUERY[key as keyof PanelQuery]),
    )
    const plain = own.every(([key]) => key === 'query')
    return plain ? query.query : JSON.stringify({ query: query.query, ...Object.fromEntries(own) })
  })
}
