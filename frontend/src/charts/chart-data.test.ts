import { expect, test } from 'vitest'
import { calculate, joinResults, labelSeries, stack } from './chart-data'

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
