import { QueryClient } from '@tanstack/react-query'
import { expect, test } from 'vitest'
import {
  getAlertRulesQueryKey,
  getAlertSilencesQueryKey,
  getDashboardsQueryKey,
} from '@/api/generated/@tanstack/react-query.gen'
import { refreshAlerts } from './refresh-alerts'

test('a change of alerts reads alerts again, and neither panels nor dashboards', async () => {
  const cache = new QueryClient()
  const keys = [
    getAlertRulesQueryKey(),
    getAlertSilencesQueryKey({ query: { ended: true } }),
    getDashboardsQueryKey(),
    ['board', [], 'now-1h', 'now'],
  ]
  for (const key of keys) cache.setQueryData(key as unknown[], {})
  await refreshAlerts(cache)
  const invalid = keys.map((key) => cache.getQueryState(key as unknown[])?.isInvalidated)
  expect(invalid).toEqual([true, true, false, false])
})
