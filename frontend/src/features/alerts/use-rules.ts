import {
  keepPreviousData,
  type QueryClient,
  type QueryKey,
  useMutation,
  useMutationState,
  useQuery,
  useQueryClient,
} from '@tanstack/react-query'
import {
  createAlertRuleMutation,
  deleteAlertRuleMutation,
  getAlertRuleOptions,
  getAlertRulesOptions,
} from '@/api/generated/@tanstack/react-query.gen'
import { updateAlertRule } from '@/api/generated/sdk.gen'
import type {
  AlertRule,
  ApiResponseListAlertRule,
  CreateAlertRule,
  CreateAlertRuleData,
  UpdateAlertRule,
  UpdateAlertRuleData,
} from '@/api/generated/types.gen'
import type { AlertsSearch } from './alerts-search'
import { POLL } from './labels'
import { refreshAlerts } from './refresh-alerts'
import { createRuleSaver } from './save-rules'

/** Rules of a page of the list. */
export const RULES_PER_PAGE = 100

const listOf = ({ q, state, severity, page = 1 }: AlertsSearch) =>
  getAlertRulesOptions({
    query: { search: q, state, severity, page, pageSize: RULES_PER_PAGE },
  })

const CREATE = ['createAlertRule']
const UPDATE = ['updateAlertRule']
/** Every cached list of rules: pages, filtered ones, those of panels. */
const lists = {
  predicate: ({ queryKey }: { queryKey: QueryKey }) => idOf(queryKey) === 'getAlertRules',
}

function idOf([first]: QueryKey): unknown {
  return typeof first === 'object' && first !== null && '_id' in first ? first._id : undefined
}

/** A page of the rules that are searched for, the most urgent first. */
export const useRules = (search: AlertsSearch) =>
  useQuery({
    ...listOf(search),
    refetchInterval: POLL,
    refetchIntervalInBackground: false,
    placeholderData: keepPreviousData,
  })

/** Rules that are being created, the newest first. */
export const useSavingRules = (): CreateAlertRule[] =>
  useMutationState({
    filters: { mutationKey: CREATE, status: 'pending' },
    select: ({ state }) => (state.variables as CreateAlertRuleData).body,
  }).reverse()

/**
 * Changes of rules that have no response yet, by the rules' ids: what is shown by them is marked,
 * since it may still be refused.
 */
export function useChangingRules(): ReadonlyMap<string, Partial<AlertRule>> {
  const pending = useMutationState({
    filters: { mutationKey: UPDATE, status: 'pending' },
    select: ({ state }) => state.variables as UpdateAlertRuleData,
  })
  const changes = new Map<string, Partial<AlertRule>>()
  for (const { path, body } of pending) {
    changes.set(path.rule_id, { ...changes.get(path.rule_id), ...given(body) })
  }
  return changes
}

const savers = new WeakMap<QueryClient, ReturnType<typeof createRuleSaver>>()

/** The one saver of all pages: what one of them saves, another may change before the response. */
function saverOf(cache: QueryClient) {
  const found =
    savers.get(cache) ??
    createRuleSaver(
      async (id, body) =>
        (await updateAlertRule({ path: { rule_id: id }, body, throwOnError: true })).data.data,
    )
  savers.set(cache, found)
  return found
}

/**
 * Changes of rules. What is deleted goes at once, and comes back when the server rejects that; of
 * what is created or updated, `useSavingRules` and `useChangingRules` know until the response.
 * Errors are shown here unless `silent` is set and the caller shows them.
 */
export function useRuleChanges({ silent = false } = {}) {
  const cache = useQueryClient()
  const show = async (change: (rules: AlertRule[]) => AlertRule[]) => {
    await cache.cancelQueries(lists)
    const before = cache.getQueriesData<ApiResponseListAlertRule>(lists)
    cache.setQueriesData<ApiResponseListAlertRule>(
      lists,
      (list) => list && { ...list, data: change(list.data) },
    )
    return { before }
  }
  const back = (context: { before: [QueryKey, unknown][] } | undefined) => {
    for (const [key, list] of context?.before ?? []) cache.setQueryData(key, list)
  }
  const settle = () => refreshAlerts(cache)
  const create = useMutation({
    ...createAlertRuleMutation(),
    mutationKey: CREATE,
    meta: { silent },
    onSuccess: ({ data }) => {
      // Added before `useSavingRules` drops it, so that it is always listed; and only once,
      // since a refresh of the list may have been faster than this response.
      cache.setQueryData(
        listOf({}).queryKey,
        (before) =>
          before && { ...before, data: [data, ...before.data.filter(({ id }) => id !== data.id)] },
      )
      void settle()
    },
  })
  const update = useMutation({
    mutationKey: UPDATE,
    meta: { silent },
    mutationFn: ({ path, body }: Pick<UpdateAlertRuleData, 'path' | 'body'>) =>
      saverOf(cache)(path.rule_id, body),
    // Before `useChangingRules` drops it, so that no older state is shown in between.
    onSuccess: async (saved, { path }) => {
      const { queryKey } = getAlertRuleOptions({ path })
      await cache.cancelQueries({ queryKey })
      cache.setQueryData(queryKey, (one) => one && { ...one, data: { ...one.data, ...saved } })
      await show((rules) =>
        rules.map((rule) => (rule.id === saved.id ? { ...rule, ...saved } : rule)),
      )
    },
    // Of many that are changed at once, the last one reads them again.
    onSettled: () => {
      if (cache.isMutating({ mutationKey: UPDATE }) === 1) void settle()
    },
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
function given(body: UpdateAlertRule): Partial<AlertRule> {
  return Object.fromEntries(
    Object.entries(body).filter(([key, value]) => value !== undefined && key !== 'version'),
  )
}
