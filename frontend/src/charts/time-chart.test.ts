import { expect, test, vi } from 'vitest'
import { nearestSeries } from './time-chart'

vi.mock('uplot', () => ({ default: class {} }))

/** Three series over two scales; a pixel is 100 less the value, on the right a tenth of it. */
const chart = (top: number) =>
  ({
    data: [
      [1, 2],
      [10, 20],
      [null, 60],
      [100, 700],
    ],
    series: [{}, { scale: 'y' }, { scale: 'y' }, { scale: 'right' }],
    valToPos: (value: number, scale: string) => 100 - (scale === 'right' ? value / 10 : value),
    cursor: { top },
  }) as never

test('a tooltip of one series shows the one that is drawn nearest to the pointer', () => {
  expect(nearestSeries(chart(79), 1)).toBe(0)
  expect(nearestSeries(chart(42), 1)).toBe(1)
  expect(nearestSeries(chart(31), 1)).toBe(2)
  // A series without a value there is not near.
  expect(nearestSeries(chart(40), 0)).toBe(0)
  expect(nearestSeries({ ...(chart(40) as object), data: [[1], [null]] } as never, 0)).toBe(
    undefined,
  )
})
