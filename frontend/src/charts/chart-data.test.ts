import { expect, test } from 'vitest'
import type { QueryData } from '@/api/generated/types.gen'
import {
  aligned,
  calculate,
  heldToEnd,
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
  expect(aligned(b, times, 'held')).toEqual([2, 2, 4, 4, null])
  expect(stack([aligned(a, times, 'drawn'), aligned(b, times, 'drawn')])[1]).toEqual([
    3,
    4,
    5,
    null,
    null,
  ])
})

test('a stack of two steps has no combs, up to its newest point', () => {
  const fine = {
    timestamps: [0, 10, 20, 30, 40, 50],
    series: [{ name: 'a', tags: {}, values: [1, 1, 1, 1, 1, 1] }],
  }
  const coarse = {
    timestamps: [0, 20, 40],
    series: [{ name: 'b', tags: {}, values: [2, 4, 6] }],
  }
  const { times, lines } = joinResults([
    { data: fine as unknown as QueryData },
    { data: coarse as unknown as QueryData },
  ])
  const total = (how: 'held' | 'stacked') =>
    stack(lines.map((line) => aligned(line, times, how))).at(-1)
  expect(total('held')).toEqual([3, 3, 5, 5, 7, 7])
  expect(total('stacked')).toEqual([3, 4, 5, 6, 7, 7])
})

test('a stack has no dip at its right end, where a coarser or later line has no point yet', () => {
  const times = [0, 10, 20, 30, 40, 50, 60, 70]
  const totals = (coarse: (number | null)[], own: number[], fine: (number | null)[]) => {
    const values = Array<number | null>(8).fill(null)
    own.forEach((at, index) => {
      values[at] = coarse[index] ?? null
    })
    const below = { values: aligned({ values, own }, times, 'stacked'), own }
    return stack(heldToEnd([below, { values: fine }], times)).at(-1)
  }
  const ones = Array<number>(8).fill(1)
  // The last bucket of 20 is not finished; it is there as a gap, or not at all.
  expect(totals([2, 2, 2, null], [0, 2, 4, 6], ones)).toEqual([3, 3, 3, 3, 3, 3, 3, 3])
  expect(totals([2, 2, 2], [0, 2, 4], ones)).toEqual([3, 3, 3, 3, 3, 3, 3, 3])
  // The finer one is late.
  expect(totals([2, 2, 2, 2], [0, 2, 4, 6], [1, 1, 1, 1, 1, 1, null, null])?.at(-1)).toBe(3)
  // A line that has ended before is gone.
  expect(totals([2, 2], [0, 2], ones)).toEqual([3, 3, 3, 3, 1, 1, 1, 1])
  expect(heldToEnd([{ values: [null, null] }, { values: [] }], [0, 10])).toEqual([[null, null], []])
})

test('a line of one point stands for a step of its own beside finer ones', () => {
  const times = [0, 10, 20, 30, 40]
  const point = { values: [null, 2, null, null, null], own: [1], step: 20 }
  expect(aligned(point, times, 'held')).toEqual([null, 2, 2, null, null])
  expect(aligned(point, times, 'stacked')).toEqual([null, 2, 2, null, null])
  const fine = { values: [1, 1, 1, 1, 1] }
  const held = { ...point, values: aligned(point, times, 'stacked') }
  expect(stack(heldToEnd([held, fine], times)).at(-1)).toEqual([1, 3, 3, 3, 3])
  // The step is that of the result, not the distance to a point after a gap in it.
  const result = (timestamps: number[], step: number) => ({
    data: { timestamps, series: [{ name: 'a', tags: {}, values: timestamps.map(() => 1) }] },
    step,
  })
  const { lines } = joinResults([result(times, 10), result([10], 20)] as never)
  expect(lines.map(({ step }) => step)).toEqual([10, 20])
  // Without one, the next point tells it.
  const first = { values: [2, null, null, 4, null], own: [0, 3] }
  expect(heldToEnd([{ ...first, values: [2, null, null, null, null] }], times)).toEqual([
    [2, 2, 2, 2, 2],
  ])
})

test('points with a gap on both sides are lone', () => {
  expect(lonePoints([1, null, 2, null, 3, 4, null, 5])).toEqual([0, 2, 7])
  expect(lonePoints([null, 1, null])).toEqual([1])
  expect(lonePoints([])).toEqual([])
})
