import type { MetricOrder } from '@/api/generated/types.gen'
import { oneText } from '@/lib/search-params'
import { quote, writeKey } from '@/lib/selectors'

export const ORDERS = {
  series: 'Most series',
  newHour: 'Most new series (1 h)',
  newDay: 'Most new series (24 h)',
  samples: 'Most samples per second',
  cost: 'Most expensive',
  lastSeen: 'Least recently seen',
  name: 'Name',
} satisfies Record<MetricOrder, string>

/** The state of the usage page in its URL. */
export type UsageSearch = { q?: string; order?: MetricOrder; page?: number }

export function readUsageSearch(search: Record<string, unknown>): UsageSearch {
  const order = oneText(search.order)
  const page = Number(search.page)
  return {
    q: oneText(search.q),
    order: (Object.keys(ORDERS) as MetricOrder[]).find((known) => known === order),
    page: Number.isInteger(page) && page > 1 ? page : undefined,
  }
}

/** The series list of one metric: conditions between the braces, and the page. */
export type MetricUsageSearch = { where?: string; page?: number }

export function readMetricUsageSearch(search: Record<string, unknown>): MetricUsageSearch {
  const page = Number(search.page)
  return {
    where: oneText(search.where),
    page: Number.isInteger(page) && page > 1 ? page : undefined,
  }
}

/** One more condition: a tag with a value. */
export function addCondition(where: string | undefined, key: string, value: string): string {
  return [where?.trim(), `${writeKey(key)}=${quote(value)}`].filter(Boolean).join(', ')
}
