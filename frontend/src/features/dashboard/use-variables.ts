import { keepPreviousData, skipToken, useQuery } from '@tanstack/react-query'
import { useMemo, useRef } from 'react'
import { resolveVariables } from '@/api/generated/sdk.gen'
import type {
  Panel,
  QueryFilter,
  ResolvedVariable,
  Variable,
  VariableOption,
} from '@/api/generated/types.gen'
import { messageOf } from '@/lib/errors'
import { allTexts } from '@/lib/search-params'
import { intervalMs, resolveRange, type TimeRange } from '@/lib/time-range'
import {
  ALL,
  autoInterval,
  type Chosen,
  choose,
  isListed,
  type Scope,
  single,
  sourcesOf,
} from '@/lib/variables'
import type { Zone } from '@/lib/zone'
import { type BoardSearch, variableKey } from './board-search'

export type BoardVariable = {
  variable: Variable
  options: VariableOption[]
  chosen: Chosen
  /** Why its values can't be listed. */
  failure: string | undefined
}

/** Milliseconds until a failed list of values is requested again. */
const RETRY = 10_000
const AUTO = 'auto'
const DATA_SOURCE: VariableOption = { text: 'Pulseboard', value: 'pulseboard' }

/** Options that need no request. */
function ownOptions({ type, values, texts, auto }: Variable): VariableOption[] {
  if (type === 'dataSource') return [DATA_SOURCE]
  const listed = values.map((value) => ({ text: texts[value] ?? value, value }))
  return type === 'interval' && auto ? [{ text: AUTO, value: AUTO }, ...listed] : listed
}

type Known = { inputs: string; resolved: ResolvedVariable }

/** Variables, each after those that it refers to; in a circle, in the order given. */
function inOrder(variables: Variable[]): Variable[] {
  const waiting = new Map(variables.map((variable) => [variable.name, variable]))
  const ordered: Variable[] = []
  while (waiting.size) {
    const free = [...waiting.values()].filter((variable) =>
      sourcesOf(variable).every((name) => name === variable.name || !waiting.has(name)),
    )
    for (const variable of free.length ? free : [...waiting.values()].slice(0, 1)) {
      waiting.delete(variable.name)
      ordered.push(variable)
    }
  }
  return ordered
}

/** A board's variables with their values; the scope is undefined while a required value is unknown. */
export function useVariables(
  variables: Variable[],
  panels: Panel[],
  search: BoardSearch,
  range: TimeRange,
  zone: Zone,
): { variables: BoardVariable[]; scope: Scope | undefined; retry: () => void } {
  const wantedOf = (name: string) => allTexts(search[variableKey(name)])
  const names = new Set(variables.map(({ name }) => name))
  const dependsOn = (variable: Variable) =>
    sourcesOf(variable).filter((name) => name !== variable.name && names.has(name))
  const listed = variables.filter(isListed)
  const parents = new Set(listed.flatMap(dependsOn))
  const byRange = listed.some(({ refresh }) => refresh === 'range')
  const known = useRef(new Map<string, Known>())

  const chosenOf = (variable: Variable, options: VariableOption[]) =>
    choose(
      variable.type === 'filters' ? { ...variable, multi: true } : variable,
      options.map(({ value }) => value),
      wantedOf(variable.name),
      dependsOn(variable).length > 0,
    )

  const list = async (signal: AbortSignal): Promise<Map<string, ResolvedVariable>> => {
    const { start, end } = resolveRange(range, Date.now(), zone)
    const needed: Variable[] = []
    const given = new Map<string, Chosen>()
    /** All that a variable's values depend on. */
    const inputsOf = (variable: Variable) =>
      JSON.stringify([
        variable,
        dependsOn(variable).map((source) => given.get(source) ?? wantedOf(source)),
        variable.refresh === 'range' && [range, zone],
      ])
    for (const variable of inOrder(variables)) {
      const { name } = variable
      if (!isListed(variable)) {
        given.set(name, chosenOf(variable, ownOptions(variable)))
        continue
      }
      const before = known.current.get(name)
      const isSettled = dependsOn(variable).every((source) => given.has(source))
      if (isSettled && before?.inputs === inputsOf(variable)) {
        given.set(name, chosenOf(variable, before.resolved.options))
      } else needed.push(variable)
    }
    if (needed.length) {
      const { data } = await resolveVariables({
        body: {
          variables: needed,
          given: [...given].map(([name, { values, all, allValue }]) => ({
            name,
            values,
            all,
            allValue,
          })),
          wanted: needed.flatMap(({ name }) => {
            const wanted = wantedOf(name)
            return wanted.length
              ? { name, values: wanted.filter((one) => one !== ALL), all: wanted.includes(ALL) }
              : []
          }),
          start: new Date(start).toISOString(),
          end: new Date(end).toISOString(),
        },
        signal,
        throwOnError: true,
      })
      for (const resolved of data.data) {
        // What failed keeps no inputs, so that it is requested again.
        known.current.set(resolved.name, { inputs: '', resolved })
      }
      for (const variable of needed) {
        const entry = known.current.get(variable.name)
        if (!entry || entry.resolved.error) continue
        for (const source of dependsOn(variable)) {
          const parent = variables.find(({ name }) => name === source)
          const options = parent && known.current.get(source)?.resolved.options
          if (parent && options) given.set(source, chosenOf(parent, options))
        }
        // The inputs of a chain are known once what it depends on is: what was sent is not enough.
        entry.inputs = inputsOf(variable)
      }
    }
    return new Map([...known.current].map(([name, { resolved }]) => [name, resolved]))
  }

  const response = useQuery({
    // What is chosen of a variable on which none depends changes nothing here.
    queryKey: [
      'variables',
      variables,
      [...parents].map((name) => [name, wantedOf(name)]),
      byRange && [range.from, range.to, zone],
    ],
    placeholderData: keepPreviousData,
    staleTime: 60_000,
    retry: 0,
    meta: { silent: true },
    queryFn: listed.length ? ({ signal }: { signal: AbortSignal }) => list(signal) : skipToken,
    // Without its values no query can be sent: it is tried again until they are here.
    refetchInterval: ({ state }) =>
      state.status === 'error' || [...(state.data?.values() ?? [])].some(({ error }) => error)
        ? RETRY
        : false,
  })
  const pending = response.isPlaceholderData || (response.isFetching && !response.data)

  const found = variables.map((variable) => {
    const resolved = response.data?.get(variable.name)
    const options = isListed(variable) ? (resolved?.options ?? []) : ownOptions(variable)
    const chosen = chosenOf(variable, options)
    const failure = isListed(variable)
      ? (resolved?.error ?? (response.error ? messageOf(response.error) : undefined))
      : undefined
    const repeated = panels.some((panel) => panel.options.repeat === variable.name)
    const wanted = wantedOf(variable.name)
    const given = wanted.length > 0 && (!chosen.all || !repeated) && chosen.values.length > 0
    const ready = !isListed(variable) || given || (resolved !== undefined && !resolved.error)
    return { variable, options, chosen, failure, ready }
  })
  const ready = found.every((each) => each.ready)
  const { start, end } = resolveRange(range, 0, zone)
  const shape = JSON.stringify(
    found
      .filter(({ variable }) => variable.type !== 'filters')
      .map(({ variable, chosen }) => [variable.name, filled(variable, chosen, end - start)]),
  )
  const settled = useRef<Scope>(undefined)
  const scope = useMemo(
    () => (ready ? new Map(JSON.parse(shape) as [string, Chosen][]) : undefined),
    [ready, shape],
  )
  // While a chain is listed anew, the panels stay with what was chosen before.
  const shown = pending && settled.current ? settled.current : scope
  settled.current = shown
  return { variables: found, scope: shown, retry: () => void response.refetch() }
}

/** What a variable is filled in with. */
function filled(variable: Variable, chosen: Chosen, range: number): Chosen {
  if (variable.type !== 'interval' || chosen.values[0] !== AUTO) return chosen
  return single(
    autoInterval(range, variable.autoCount, intervalMs(variable.autoMin ?? '10s') ?? 10_000),
  )
}

/** A filter as the URL has it: `key|operator|value`. */
export const filterText = ({ key, operator, value }: QueryFilter) => `${key}|${operator}|${value}`

const OPERATORS = ['=', '!=', '=~', '!~'] as const

export function parseFilter(text: string): QueryFilter | undefined {
  const [key = '', given = '', ...rest] = text.split('|')
  const operator = OPERATORS.find((one) => one === given)
  return key && operator ? { key, operator, value: rest.join('|') } : undefined
}

/** The filters on every query of a board. */
export const filtersOf = (variables: BoardVariable[]): QueryFilter[] =>
  variables
    .filter(({ variable }) => variable.type === 'filters')
    .flatMap(({ variable, chosen }) =>
      (chosen.values.length ? chosen.values : (variable.default ?? [])).flatMap(
        (text) => parseFilter(text) ?? [],
      ),
    )
