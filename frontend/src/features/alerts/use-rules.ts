import { useMutation, useMutationState, useQuery, useQueryClient } from '@tanstack/react-query'
import {
  createAlertRuleMutation,
  deleteAlertRuleMutation,
  getAlertRuleOptions,
  getAlertRulesOptions,
  updateAlertRuleMutation,
} from '@/api/generated/@tanstack/react-query.gen'
import type { AlertRule, CreateAlertRule, CreateAlertRuleData } from '@/api/generated/types.gen'
import { POLL } from './labels'

const all = getAlertRulesOptions({ query: { pageSize: 1000 } })
const CREATE = ['createAlertRule']

export const useRules = () =>
  useQuery({ ...all, refetchInterval: POLL, refetchIntervalInBackground: false })

/** Rules that are being created, the newest first. */
export const useSavingRules = (): CreateAlertRule[] =>
  useMutationState({
    filters: { mutationKey: CREATE, status: 'pending' },
    select: ({ state }) => (state.variables as CreateAlertRuleData).body,
  }).reverse()

/**
 * Mutations with optimistic updates, reverted when the server rejects them. Errors are shown
 * here unless `silent` is set and the caller shows them.
 */
export function useRuleChanges({ silent = false } = {}) {
  const cache = useQueryClient()
  const show = async (change: (rules: AlertRule[]) => AlertRule[]) => {
    await cache.cancelQueries({ queryKey: all.queryKey })
    const before = cache.getQueryData(all.queryKey)
    if (before) cache.setQueryData(all.queryKey, { ...before, data: change(before.data) })
    return { before }
  }
  const back = (context: { before: unknown } | undefined) => {
    if (context?.before) cache.setQueryData(all.queryKey, context.before as never)
  }
  // What shows rules, their states and their history: panels and dashboards do not depend on them.
  const settle = () =>
    cache.invalidateQueries({
      predicate: ({ queryKey: [first] }) =>
        typeof first === 'object' &&
        first !== null &&
        '_id' in first &&
        /^getAlert/.test(String(first._id)),
    })
  const create = useMutation({
    ...createAlertRuleMutation(),
    mutationKey: CREATE,
    meta: { silent },
    onSuccess: ({ data }) => {
      // Added before `useSavingRules` drops it, so that it is always listed; and only once,
      // since a refresh of the list may have been faster than this response.
      cache.setQueryData(
        all.queryKey,
        (before) =>
          before && { ...before, data: [data, ...before.data.filter(({ id }) => id !== data.id)] },
      )
      void settle()
    },
  })
  const update = useMutation({
    ...updateAlertRuleMutation(),
    meta: { silent },
    onMutate: async ({ body, path }) => {
      const changed = <Rule extends AlertRule>(rule: Rule) => ({ ...rule, ...given(body) }) as Rule
      const { queryKey } = getAlertRuleOptions({ path })
      await cache.cancelQueries({ queryKey })
      const one = cache.getQueryData(queryKey)
      if (one) cache.setQueryData(queryKey, { ...one, data: changed(one.data) })
      const list = await show((rules) =>
        rules.map((rule) => (rule.id === path.rule_id ? changed(rule) : rule)),
      )
      return { ...list, one }
    },
    onError: (_error, { path }, context) => {
      back(context)
      if (context?.one) cache.setQueryData(getAlertRuleOptions({ path }).queryKey, context.one)
    },
    onSettled: settle,
  })
  const remove = useMutation({
    ...deleteAlertRuleMutation(),
    onMutate: ({ path }) => show((rules) => rules.filter((rule) => rule.id !== path.rule_id)),
    onError: (_error, _variables, context) => back(context),
    onSettled: settle,
  })
  return { create, update, remove }
}

/** The fields that are given, without the version, which the server increments. */
function given(body: object): object {
  return Object.fromEntries(
    Object.entries(body).filter(([key, value]) => value !== undefined && key !== 'version'),
  )
}
