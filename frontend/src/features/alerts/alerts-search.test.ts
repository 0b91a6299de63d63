import { expect, test } from 'vitest'
import type { AlertRule } from '@/api/generated/types.gen'
import { filterRules, readAlertsSearch } from './alerts-search'

const rule = (name: string, more: Partial<AlertRule> = {}) =>
  ({
    name,
    query: 'cpu',
    labels: {},
    enabled: true,
    firing: 0,
    pending: 0,
    lastError: null,
    severity: 'warning',
    ...more,
  }) as AlertRule

const RULES = [
  rule('hot', { firing: 2, severity: 'critical', labels: { team: 'ops' } }),
  rule('warm', { pending: 1 }),
  rule('off', { enabled: false }),
  rule('broken', { lastError: 'no' }),
]
const found = (search: Parameters<typeof filterRules>[1]) =>
  filterRules(RULES, search).map(({ name }) => name)

test('rules are found by words of name, query and labels, by state and severity', () => {
  expect(found({})).toHaveLength(4)
  expect(found({ q: 'TEAM=ops cpu' })).toEqual(['hot'])
  expect(found({ state: 'pending' })).toEqual(['warm'])
  expect(found({ state: 'disabled' })).toEqual(['off'])
  expect(found({ state: 'failing' })).toEqual(['broken'])
  expect(found({ severity: 'critical', q: 'hot' })).toEqual(['hot'])
})

test('invalid values in the URL are ignored', () => {
  expect(readAlertsSearch({ tab: 'x', state: 'firing', severity: 'loud' })).toEqual({
    tab: undefined,
    q: undefined,
    state: 'firing',
    severity: undefined,
    page: undefined,
  })
})

test('the page is a whole number from the second on', () => {
  expect([1, '3', 2, -1, 2.5, 'x'].map((page) => readAlertsSearch({ page }).page)).toEqual([
    undefined,
    3,
    2,
    undefined,
    undefined,
    undefined,
  ])
})
