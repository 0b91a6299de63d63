import { expect, test } from 'vitest'
import { DEFAULT_QUERY } from '@/lib/panel-defaults'
import { hideInvalid, queryErrors } from './query-errors'

test('an invalid query is named and waits, the others are sent', () => {
  const queries = [
    { ...DEFAULT_QUERY, query: 'up' },
    { ...DEFAULT_QUERY, query: 'up', step: '5 apples' },
    { ...DEFAULT_QUERY, query: ' ' },
    { ...DEFAULT_QUERY, query: 'up', groupBy: ['host', 'a'.repeat(101)] },
  ]
  expect(Object.keys(queryErrors(queries))).toEqual(['queries.1.step', 'queries.3.groupBy.1'])
  expect(hideInvalid(queries).map(({ hidden }) => hidden)).toEqual([false, true, true, true])
})
