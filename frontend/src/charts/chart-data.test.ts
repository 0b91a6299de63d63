import { expect, test } from 'vitest'
import type { QueryData } from '@/api/generated/types.gen'
import {
  aligned,
  calculate,
  joinResults,
  type Line,
  labelSeries,
  lonePoints,
  stack,
} from './chart-data'

const line = (tags: Record<string, string>, values: (number | null)[] = []) => ({
  name: 'cpu',
  tags,
  values,
})

test('series are labelled by the tags that differ', () => {
  expect(labelSeries([line({ host: 'a', env: 'x' }), line({ host: 'b', env: 'x' })])).toEqual([
    'a',
    'b',
  ])
  expect(labelSeries([line({ host: 'a' })])).toEqual(['cpu'])
  expect(labelSeries([line({ host: 'a' })], '{{host}} of {{ __name__ }}')).toEqual(['a of cpu'])
})

test('results with different steps share an axis', () => {
  const joined = joinResults([
    { data: { timestamps: [0, 10, 20], series: [line({}, [1, 2, 3])] } },
    { data: { timestamps: [0, 20], series: [line({}, [5, 6])] } },
  ])
  expect(joined.times).toEqual([0, 10, 20])
  expect(joined.lines.map((entry) => entry.values)).toEqual([
    [1, 2, 3],
    [5, null, 6],
  ])
})

test('calculations ignore gaps', () => {
  const values = [null, 4, 2, null]
  expect(calculate(values, 'last')).toBe(2)
  expect(calculate(values, 'avg')).toBe(3)
  expect(calculate(values, 'min')).toBe(2)
  expect(calculate(values, 'max')).toBe(4)
  expect(calculate(values, 'sum')).toBe(6)
  expect(calculate([null], 'last')).toBeUndefined()
})

test('stacking adds up and keeps gaps', () => {
  expect(
    stack([
      [1, null],
      [2, 3],
    ]),
  ).toEqual([
    [1, null],
    [3, 3],
  ])
})

test('lines of two steps are aligned before they are drawn', () => {
  const fine = {
    timestamps: [0, 10, 20, 30, 40],
    series: [{ name: 'a', tags: {}, values: [1, 1, 1, 1, 1] }],
  }
  const coarse = {
    timestamps: [0, 20, 40],
    series: [{ name: 'b', tags: {}, values: [2, 4, null] }],
  }
  const { times, lines } = joinResults([
    { data: fine as unknown as QueryData },
    { data: coarse as unknown as QueryData },
  ])
  const [a, b] = lines as [Line, Line]
  expect(b.values).toEqual([2, null, 4, null, null])
  expect(aligned(b, times, 'drawn')).toEqual([2, 3, 4, null, null])
  expect(aligned(b, times, 'held')).toEqual([2, 2, 4, null, null])
  expect(stack([aligned(a, times, 'drawn'), aligned(b, times, 'drawn')])[1]).toEqual([
    3,
    4,
    5,
    null,
    null,
  ])
})

test('points with a gap on both sides are lone', () => {
  expect(lonePoints([1, null, 2, null, 3, 4, null, 5])).toEqual([0, 2, 7])
  expect(lonePoints([null, 1, null])).toEqual([1])
  expect(lonePoints([])).toEqual([])
})
