import type { AlertRule, AlertSeverity } from '@/api/generated/types.gen'
import { oneText } from '@/lib/search-params'
import { formatTags, SEVERITIES } from './labels'

export const TABS = [
  'rules',
  'recording',
  'history',
  'silences',
  'channels',
  'notifications',
] as const
export const STATES = [
  { value: 'firing', text: 'Firing' },
  { value: 'pending', text: 'Pending' },
  { value: 'ok', text: 'OK' },
  { value: 'failing', text: 'Failing' },
  { value: 'disabled', text: 'Disabled' },
] as const
export type RuleState = (typeof STATES)[number]['value']

/** The state of the alerts page in its URL: the tab, and the filters of the rule list. */
export type AlertsSearch = {
  tab?: (typeof TABS)[number]
  q?: string
  state?: RuleState
  severity?: AlertSeverity
  /** From the second on. */
  page?: number
}

export function readAlertsSearch(search: Record<string, unknown>): AlertsSearch {
  return {
    tab: TABS.find((known) => known === oneText(search.tab)),
    q: oneText(search.q) || undefined,
    state: STATES.find(({ value }) => value === oneText(search.state))?.value,
    severity: SEVERITIES.find(({ value }) => value === oneText(search.severity))?.value,
    page: pageOf(Number(search.page)),
  }
}

function pageOf(page: number): number | undefined {
  return Number.isSafeInteger(page) && page > 1 && page < 1_000_000 ? page : undefined
}

/** What a new rule starts with: a query from another page, or another rule to copy. */
export type NewRuleSearch = { query?: string; name?: string; from?: string }

export function readNewRuleSearch(search: Record<string, unknown>): NewRuleSearch {
  return {
    query: oneText(search.query) || undefined,
    name: oneText(search.name) || undefined,
    from: oneText(search.from) || undefined,
  }
}

function stateOf(rule: AlertRule): RuleState {
  if (!rule.enabled) return 'disabled'
  if (rule.firing) return 'firing'
  if (rule.lastError) return 'failing'
  return rule.pending ? 'pending' : 'ok'
}

/** Rules whose name, query and labels contain each word, in this state and of this severity. */
export function filterRules(rules: AlertRule[], { q, state, severity }: AlertsSearch): AlertRule[] {
  const words = (q ?? '').toLowerCase().split(/\s+/).filter(Boolean)
  return rules.filter((rule) => {
    const text = `${rule.name} ${rule.query} ${formatTags(rule.labels)}`.toLowerCase()
    return (
      words.every((word) => text.includes(word)) &&
      (!state || stateOf(rule) === state) &&
      (!severity || rule.severity === severity)
    )
  })
}
