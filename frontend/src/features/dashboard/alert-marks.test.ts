import { beforeAll, expect, it } from 'vitest'
import { loadPatterns } from '@/lib/patterns'
import { marksOf, selectorsIn, wideRange } from './alert-marks'

beforeAll(async () => void (await loadPatterns()))

const names = (query: string) => selectorsIn(query).map(({ name }) => name)

it('finds the selectors of a query, not every word in it', () => {
  expect(selectorsIn('cpu{host="load", env!~\'a|b\'}')).toEqual([
    {
      name: 'cpu',
      matchers: [
        { label: 'host', operator: '=', value: 'load' },
        { label: 'env', operator: '!~', value: 'a|b' },
      ],
    },
  ])
  expect(names('{"system.cpu", a="b"}')).toEqual(['system.cpu'])
  expect(names('{__name__="up"}')).toEqual(['up'])
  expect(names('sum by (job, load) (rate(requests[5m])) / on (cpu) group_left (up) load')).toEqual([
    'requests',
    'load',
  ])
  expect(names('a and b offset 5m unless c > bool 1 # up')).toEqual(['a', 'b', 'c'])
  expect(names('sum(requests) by (cpu)')).toEqual(['requests'])
  expect(names('system.cpu')).toEqual(['system.cpu'])
})

it('marks what fired on the series that a panel shows', () => {
  const panel = (query: string) => ({ queries: [{ query }] }) as Parameters<typeof marksOf>[0]
  const event = (
    query: string,
    tags: Record<string, string>,
    resolvedAt: string | null = null,
  ) => ({
    query,
    tags,
    triggeredAt: '2026-01-31T12:00:00Z',
    resolvedAt,
  })
  const events = [
    event('cpu{host="x"}', { host: 'x' }, '2026-01-31T12:01:00Z'),
    event('load', { host: 'x' }),
  ]
  const statuses = (query: string) => marksOf(panel(query), events).map(({ status }) => status)
  expect(statuses('cpu')).toEqual(['firing', 'resolved'])
  expect(statuses('cpu{host="y"}')).toEqual([])
  expect(statuses('cpu{host=~"x|y"}')).toEqual(['firing', 'resolved'])
  expect(statuses('cpu{host="$host", env="a"}')).toEqual(['firing', 'resolved'])
  expect(statuses('sum by (load) (memory{load="cpu"})')).toEqual([])
})

it('asks for a range that holds the board', () => {
  const { start, end } = wideRange(1_000_000, 2_000_000)
  expect(new Date(start).getTime()).toBeLessThanOrEqual(1_000_000)
  expect(new Date(end).getTime()).toBeGreaterThanOrEqual(2_000_000)
  expect(wideRange(1_000_000, 2_000_000)).toEqual(wideRange(1_010_000, 2_010_000))
})
