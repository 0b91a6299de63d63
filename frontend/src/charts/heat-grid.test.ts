import { expect, test } from 'vitest'
import { bucketGrid, histogramOf, niceEdges } from './heat-grid'

const line = (label: string, values: (number | null)[], tags = {}) => ({
  key: label,
  label,
  values,
  tags,
})

test('cumulative buckets become counts of their own, the lowest first', () => {
  const table = {
    times: [0, 50],
    lines: [
      line('+Inf', [10, 10], { le: '+Inf' }),
      line('1', [2, 4], { le: '1' }),
      line('5', [7, 10], { le: '5' }),
    ],
  }
  const grid = bucketGrid(table, 0, 100, false)
  expect(grid.labels).toEqual(['1', '5', '+Inf'])
  expect(grid.counts).toEqual([2, 4, 5, 6, 3, 0])
  expect(grid.most).toBe(6)
})

test('values are counted in buckets of nice width', () => {
  const grid = bucketGrid(
    { times: [0, 50], lines: [line('a', [1, 24]), line('b', [null, 24])] },
    0,
    100,
    false,
  )
  expect(grid.counts.reduce((a, b) => a + b, 0)).toBe(3)
  expect(grid.most).toBe(2)
  expect(niceEdges(0, 100, 5)).toEqual([0, 20, 40, 60, 80, 100])
  expect(niceEdges(3, 3, 5)).toEqual([3, 6])
  expect(histogramOf([1, 1, 9], 2)).toEqual({ edges: [0, 5, 10], counts: [2, 1] })
  expect(histogramOf([], 2).counts).toEqual([0])
})
