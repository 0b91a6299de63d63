import { expect, test } from 'vitest'
import { NEW_QUERY } from '../panel-editor/new-query'
import { readExploreSearch, readQueries, writeQueries } from './explore-search'

test('queries survive the round trip through the URL', () => {
  const queries = [
    { ...NEW_QUERY, query: 'cpu{host="a"}' },
    { ...NEW_QUERY, query: '{"system.cpu"}' },
    { ...NEW_QUERY, query: 'load_1', aggregation: 'max' as const, groupBy: ['host'], alias: 'x' },
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
  expect(readQueries({})).toEqual([NEW_QUERY])
})
