import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import {
  deleteAlertRuleMutation,
  getAlertRulesOptions,
  updateAlertRuleMutation,
} from '@/api/generated/@tanstack/react-query.gen'
import type { AlertRule } from '@/api/generated/types.gen'
import { POLL } from './words'

const all = getAlertRulesOptions({ query: { pageSize: 1000 } })

export const useRules = () =>
  useQuery({ ...all, refetchInterval: POLL, refetchIntervalInBackground: false })

/** Changes of a rule are seen at once, and taken back when the server refuses them. */
export function useRuleChanges() {
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
  const update = useMutation({
    ...updateAlertRuleMutation(),
    onMutate: ({ body, path }) =>
      show((rules) =>
        rules.map((rule) =>
          rule.id === path.rule_id ? ({ ...rule, ...given(body) } as AlertRule) : rule,
        ),
      ),
    onError: (_error, _variables, context) => back(context),
    onSettled: settle,
  })
  const remove = useMutation({
    ...deleteAlertRuleMutation(),
    onMutate: ({ path }) => show((rules) => rules.filter((rule) => rule.id !== path.rule_id)),
    onError: (_error, _variables, context) => back(context),
    onSettled: settle,
  })
  return { update, remove }
}

/** Without what was left out, and without the version, which the server raises. */
function given(body: object): object {
  return Object.fromEntries(
    Object.entries(body).filter(([key, value]) => value !== undefined && key !== 'version'),
  )
}
