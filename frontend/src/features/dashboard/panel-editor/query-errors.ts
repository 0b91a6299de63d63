import type { PanelQuery } from '@/api/generated/types.gen'
import { zPanelQuery } from '@/api/generated/zod.gen'
import { errorsByField } from '@/lib/validation-errors'

/** What is wrong with the options of queries as they are typed, by field: `queries.0.step`. */
export function queryErrors(queries: PanelQuery[]): Record<string, string> {
  const found = queries.flatMap((query, index) => {
    const checked = zPanelQuery.safeParse(query)
    const errors = checked.success ? [] : Object.entries(errorsByField(checked.error))
    // A query that is still empty is no mistake.
    return errors
      .filter(([field]) => field !== 'query')
      .map(([field, error]) => [`queries.${index}.${field}`, error] as const)
  })
  return Object.fromEntries(found)
}

/** The queries as they are sent: those that are empty or invalid wait, the others go on. */
export const hideInvalid = (queries: PanelQuery[]): PanelQuery[] =>
  queries.map((query) => {
    const wrong = !query.query.trim() || Object.keys(queryErrors([query])).length > 0
    return wrong ? { ...query, hidden: true } : query
  })
