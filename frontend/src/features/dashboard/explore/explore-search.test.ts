import { expect, test } from 'vitest'
import { DEFAULT_QUERY } from '@/lib/panel-defaults'
import { readExploreSearch, readQueries, writeQueries } from './explore-search'

test('queries survive the round trip through the URL', () => {
  const queries = [
    { ...DEFAULT_QUERY, query: 'cpu{host="a"}' },
    { ...DEFAULT_QUERY, query: '{"system.cpu"}' },
    {
      ...DEFAULT_QUERY,
      query: 'load_1',
      aggregation: 'max' as const,
      groupBy: ['host'],
      alias: 'x',
    },
  ]
  const written = writeQueries(queries)
  expect(written.slice(0, 2)).toEqual(['cpu{host="a"}', '{"system.cpu"}'])
  expect(readQueries(readExploreSearch({ q: written }))).toEqual(queries)
})

test('invalid values in the URL are left out', () => {
  expect(readExploreSearch({ q: [1, 'up'], type: 'pie', tz: 'mars' })).toEqual({
    q: ['up'],
    type: undefined,
    from: undefined,
    to: undefined,
    refresh: undefined,
    tz: undefined,
  })
  expect(readQueries({})).toEqual([DEFAULT_QUERY])
})

test.each([
  '{"query":5}',
  '{"query":"up","tags":7}',
  '{"query":"up","groupBy":"host"}',
  '{"query":null}',
])('%s in the URL is a text, which no form trips over', (text) => {
  expect(readQueries({ q: text })).toEqual([{ ...DEFAULT_QUERY, query: text }])
})

test('a query that is being typed comes back from the URL as it is', () => {
  const typed = { ...DEFAULT_QUERY, query: '', step: '5', groupBy: ['1x'] }
  expect(readQueries({ q: writeQueries([typed]) })).toEqual([typed])
})
