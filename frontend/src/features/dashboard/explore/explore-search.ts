import type { PanelQuery } from '@/api/generated/types.gen'
import { oneText } from '@/lib/search-params'
import type { Zone } from '@/lib/zone'
import { NEW_QUERY } from '../panel-editor/new-query'

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
  return texts.length ? texts.map(readQuery) : [NEW_QUERY]
}

function readQuery(text: string): PanelQuery {
  if (text.startsWith('{')) {
    try {
      const known = Object.entries(JSON.parse(text) as Record<string, unknown>).filter(
        ([key]) => key in NEW_QUERY,
      )
      if (known.some(([key]) => key === 'query')) {
        return { ...NEW_QUERY, ...Object.fromEntries(known) }
      }
    } catch {
      // A selector such as {"system.cpu"} is not JSON.
    }
  }
  return { ...NEW_QUERY, query: text }
}

export function writeQueries(queries: PanelQuery[]): string[] {
  return queries.map((query) => {
    const own = Object.entries(query).filter(
      ([key, value]) =>
        JSON.stringify(value) !== JSON.stringify(NEW_QUERY[key as keyof PanelQuery]),
    )
    const plain = own.every(([key]) => key === 'query')
    return plain ? query.query : JSON.stringify({ query: query.query, ...Object.fromEntries(own) })
  })
}
