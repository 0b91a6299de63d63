import { QueryClient, QueryObserver } from '@tanstack/react-query'
import { expect, test } from 'vitest'
import { reasonOf } from './not-refreshed-banner'

async function query(queryKey: string[], results: (() => unknown)[], refetchInterval?: number) {
  const cache = new QueryClient({ defaultOptions: { queries: { retry: false } } })
  const queryFn = async () => results.shift()?.() ?? null
  const observer = new QueryObserver(cache, { queryKey, queryFn, refetchInterval })
  const end = observer.subscribe(() => {})
  await observer.refetch()
  if (results.length) await observer.refetch()
  const found = cache.getQueryCache().getAll()[0]
  if (!found) throw new Error('no query')
  return { found, end }
}

const fail = () => {
  throw { error: 'The database is away.', code: 'UNAVAILABLE' }
}
const rules = () => ['rule']

test('data whose refresh failed, or that two refreshes did not renew, are named', async () => {
  const failed = await query(['rules'], [rules, fail])
  expect(reasonOf(failed.found, Date.now())).toBe('The database is away.')
  failed.end()
  const { found, end } = await query(['rules'], [rules], 30_000)
  expect(reasonOf(found, Date.now() + 59_000)).toBeUndefined()
  expect(reasonOf(found, Date.now() + 61_000)).toBe('Pulseboard is not responding.')
  end()
})

test('nothing is said of what was never there, is not polled, or is marked elsewhere', async () => {
  for (const [key, results] of [
    ['rules', [fail]],
    ['rules', [rules]],
    ['board', [rules, fail]],
  ] as const) {
    const { found, end } = await query([key], [...results])
    expect(reasonOf(found, Date.now() + 3_600_000)).toBeUndefined()
    end()
  }
})
