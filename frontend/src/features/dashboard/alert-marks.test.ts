import { expect, it } from 'vitest'
import { marksOf, namesIn } from './alert-marks'

it('finds the metrics of a query', () => {
  expect(namesIn('cpu{host="load"}')).toEqual(new Set(['cpu']))
  expect(namesIn('{"system.cpu", a="b"}')).toEqual(new Set(['system.cpu']))
  expect(namesIn('sum(rate(http_requests[5m]))').has('http_requests')).toBe(true)
})

it('marks what fired on the metrics that a panel shows', () => {
  const panel = { queries: [{ query: 'cpu' }] } as Parameters<typeof marksOf>[0]
  const rules = [
    { id: 'a', query: 'cpu{host="x"}' },
    { id: 'b', query: 'load' },
  ]
  const events = ['a', 'b'].map((ruleId) => ({
    ruleId,
    triggeredAt: '2026-01-31T12:00:00Z',
    resolvedAt: ruleId === 'a' ? '2026-01-31T12:01:00Z' : null,
  }))
  expect(marksOf(panel, rules, events).map(({ status }) => status)).toEqual(['firing', 'resolved'])
})
