import { expect, test } from 'vitest'
import type { PanelQuery } from '@/api/generated/types.gen'
import { alertQueryOf } from './alert-on-panel'

const queryOf = (part: Partial<PanelQuery>) =>
  alertQueryOf({ query: 'cpu', aggregation: 'avg', ...part } as PanelQuery)

test('a panel query becomes the expression of a rule', () => {
  expect(queryOf({})).toBe('cpu')
  expect(queryOf({ query: 'rate(x[1m])', tags: { a: 'b' } })).toBe('rate(x[1m])')
  expect(queryOf({ tags: { host: 'a"b' } })).toBe('cpu{host="a\\"b"}')
  expect(queryOf({ groupBy: ['host'], aggregation: 'max' })).toBe('max by (host) (cpu)')
  expect(queryOf({ query: 'system.cpu', groupBy: ['host'] })).toBe('avg by (host) (system.cpu)')
})
