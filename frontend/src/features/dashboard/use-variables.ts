import { useQueries } from '@tanstack/react-query'
import { useMemo } from 'react'
import { getMetricTagsOptions } from '@/api/generated/@tanstack/react-query.gen'
import type { Panel, Variable } from '@/api/generated/types.gen'
import { messageOf } from '@/lib/errors'
import { allTexts } from '@/lib/search-params'
import { type Chosen, choose, type Scope } from '@/lib/variables'
import { type BoardSearch, variableKey } from './board-search'

export type BoardVariable = {
  variable: Variable
  options: string[]
  chosen: Chosen
  /** Why its values can't be listed. */
  failure: string | undefined
}

/** Milliseconds until a failed list of values is asked for again. */
const RETRY = 10_000

const natural = new Intl.Collator(undefined, { numeric: true })

/** A board's variables with their values; the scope is undefined while a required value is unknown. */
export function useVariables(
  variables: Variable[],
  panels: Panel[],
  search: BoardSearch,
): { variables: BoardVariable[]; scope: Scope | undefined; retry: () => void } {
  const tagged = variables.filter(({ type }) => type === 'tag')
  const responses = useQueries({
    queries: tagged.map(({ metric }) => ({
      ...getMetricTagsOptions({ path: { name: metric ?? '' }, query: { limit: 1000 } }),
      staleTime: 60_000,
      // Without its values no query can be sent: it is tried again until they are here.
      refetchInterval: ({ state }: { state: { status: string } }) =>
        state.status === 'error' ? RETRY : false,
    })),
  })
  const found = variables.map((variable) => {
    const response = responses[tagged.indexOf(variable)]
    const options =
      variable.type === 'tag'
        ? (response?.data?.data.find(({ key }) => key === variable.tag)?.values ?? [])
            .map(({ value }) => value)
            .sort(natural.compare)
        : (variable.values ?? [])
    const chosen = choose(variable, options, allTexts(search[variableKey(variable.name)]))
    const failure = response?.error ? messageOf(response.error) : undefined
    const repeated = panels.some((panel) => panel.options.repeat === variable.name)
    const known = chosen.values.length > 0 || (chosen.all && !repeated)
    return {
      variable,
      options,
      chosen,
      failure,
      ready: known || variable.type !== 'tag' || response?.isSuccess === true,
    }
  })
  const ready = found.every((each) => each.ready)
  const shape = JSON.stringify(found.map(({ variable, chosen }) => [variable.name, chosen]))
  const scope = useMemo(
    () => (ready ? new Map(JSON.parse(shape) as [string, Chosen][]) : undefined),
    [ready, shape],
  )
  const retry = () => {
    for (const response of responses) if (response.error) void response.refetch()
  }
  return { variables: found, scope, retry }
}
