import { expect, test } from 'vitest'
import type { PanelQuery } from '@/api/generated/types.gen'
import { queryToWatch } from './alert-on-panel'

const asked = (part: Partial<PanelQuery>) =>
  queryToWatch({ query: 'cpu', aggregation: 'avg', ...part } as PanelQuery)

test('a panel becomes the text that a rule asks', () => {
  expect(asked({})).toBe('cpu')
  expect(asked({ query: 'rate(x[1m])', tags: { a: 'b' } })).toBe('rate(x[1m])')
  expect(asked({ tags: { host: 'a"b' } })).toBe('cpu{host="a\\"b"}')
  expect(asked({ groupBy: ['host'], aggregation: 'max' })).toBe('max by (host) (cpu)')
  expect(asked({ query: 'system.cpu', groupBy: ['host'] })).toBe('avg by (host) ({"system.cpu"})')
})
