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

/** Rules on their way to the server, the newest first. */
export const useSavingRules = (): CreateAlertRule[] =>
  useMutationState({
    filters: { mutationKey: CREATE, status: 'pending' },
    select: ({ state }) => (state.variables as CreateAlertRuleData).body,
  }).reverse()

/**
 * Changes of a rule are seen at once, and taken back when the server refuses them; that is told
 * here, but for who is `silent` and tells it otherwise.
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
  const settle = () => cache.invalidateQueries()
  const create = useMutation({
    ...createAlertRuleMutation(),
    mutationKey: CREATE,
    meta: { silent },
    onSuccess: ({ data }) => {
      // In its place before `useSavingRules` lets it go, so that it is listed throughout; and once,
      // for a refresh of the list may have been quicker than this response.
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

/** Without what was left out, and without the version, which the server raises. */
function given(body: object): object {
  return Object.fromEntries(
    Object.entries(body).filter(([key, value]) => value !== undefined && key !== 'version'),
  )
}
