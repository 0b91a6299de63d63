import { expect, test } from 'vitest'
import type { BatchAnswer } from '@/api/generated/types.gen'
import { DEFAULT_QUERY } from '@/lib/panel-defaults'
import { type Frame, framesOf, linesOf } from './frames'
import { transformed } from './transformations'

const steps = (id: string, options: Record<string, unknown> = {}) => [
  { id, disabled: false, options },
]
/** A frame as rows: names first. */
const rowsOf = ([frame]: Frame[]) => [
  frame?.fields.map(({ name }) => name),
  ...(frame?.fields[0]?.values.map((_, row) => frame.fields.map(({ values }) => values[row])) ??
    []),
]

const table = (ref: string, rows: [Record<string, string>, number][]) => ({
  ref,
  query: { ...DEFAULT_QUERY, format: 'table' as const, instant: true },
  response: {
    id: ref,
    error: null,
    result: {
      data: {
        timestamps: [1000],
        series: rows.map(([tags, value]) => ({ name: '', tags, values: [value] })),
      },
    },
  } as unknown as BatchAnswer,
})

const hosts = framesOf([
  table('A', [
    [{ host: 'a' }, 1],
    [{ host: 'b' }, 3],
  ]),
  table('B', [
    [{ host: 'b' }, 30],
    [{ host: 'c' }, 50],
  ]),
])

test('a query in table format has a column for each label', () => {
  expect(rowsOf(framesOf([table('A', [[{ host: 'a', job: 'x' }, 1]])]))).toEqual([
    ['Time', 'host', 'job', 'Value'],
    [1000, 'a', 'x', 1],
  ])
})

test('merge joins rows that agree in what frames share', () => {
  expect(rowsOf(transformed(hosts, steps('merge')))).toEqual([
    ['Time', 'host', 'Value #A', 'Value #B'],
    [1000, 'a', 1, null],
    [1000, 'b', 3, 30],
    [1000, 'c', null, 50],
  ])
})

test('joins by a field, keeping all rows or those in all frames', () => {
  const inner = transformed(hosts, steps('joinByField', { byField: 'host', mode: 'inner' }))
  expect(rowsOf(inner)).toEqual([
    ['host', 'Time 1', 'Value #A', 'Time 2', 'Value #B'],
    ['b', 1000, 3, 1000, 30],
  ])
  expect(rowsOf(transformed(hosts, steps('seriesToColumns', { byField: 'host' })))).toHaveLength(4)
})

test('organises, sorts, filters and limits', () => {
  const merged = transformed(hosts, [
    ...steps('merge'),
    ...steps('organize', {
      excludeByName: { Time: true },
      indexByName: { 'Value #B': 0, host: 1, 'Value #A': 2 },
      renameByName: { host: 'Host' },
    }),
    ...steps('sortBy', { sort: [{ field: 'Value #B', desc: true }] }),
    ...steps('filterByValue', {
      type: 'include',
      match: 'all',
      filters: [{ fieldName: 'Value #B', config: { id: 'isNotNull', options: {} } }],
    }),
    ...steps('limit', { limitField: 1 }),
  ])
  expect(rowsOf(merged)).toEqual([
    ['Value #B', 'Host', 'Value #A'],
    [50, 'c', null],
  ])
})

test('groups, reduces and calculates', () => {
  const frame = framesOf([
    table('A', [
      [{ job: 'x' }, 1],
      [{ job: 'y' }, 2],
      [{ job: 'x' }, 5],
    ]),
  ])
  const grouped = transformed(
    frame,
    steps('groupBy', {
      fields: {
        job: { operation: 'groupby', aggregations: [] },
        Value: { operation: 'aggregate', aggregations: ['sum', 'count'] },
      },
    }),
  )
  expect(rowsOf(grouped)).toEqual([
    ['job', 'Value (sum)', 'Value (count)'],
    ['x', 6, 2],
    ['y', 2, 1],
  ])
  const share = transformed(
    grouped,
    steps('calculateField', {
      mode: 'binary',
      alias: 'mean',
      binary: { left: 'Value (sum)', operator: '/', right: 'Value (count)' },
    }),
  )
  expect(share[0]?.fields.at(-1)).toMatchObject({ name: 'mean', values: [3, 2] })
})

test('what is left is drawn: one value for each row, named by its texts', () => {
  const { lines } = linesOf(
    transformed(hosts.slice(0, 1), steps('organize', { excludeByName: { Time: true } })),
  )
  expect(lines.map(({ label, values }) => [label, values])).toEqual([
    ['a', [1]],
    ['b', [3]],
  ])
})

test('an unknown or disabled step changes nothing', () => {
  expect(transformed(hosts, steps('regression'))).toEqual(hosts)
  expect(transformed(hosts, [{ id: 'merge', disabled: true, options: {} }])).toEqual(hosts)
})
