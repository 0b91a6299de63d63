import { expect, test } from 'vitest'
import { formatValue } from './units'

test.each([
  [0, 'bytes', '0 B'],
  [1536, 'bytes', '1.5 KiB'],
  [3 * 1024 ** 3, 'bytes', '3 GiB'],
  [2048, 'bytes/s', '2 KiB/s'],
  [12.345, 'percent', '12.3 %'],
  [1500, 'decbytes', '1.5 kB'],
  [2500, 'microseconds', '2.5 ms'],
  [-1500, 'usd', '-$1.5 k'],
  [255, 'hex', '0xff'],
  [0.5, 'ratio', '50 %'],
  [0.0042, 'seconds', '4.2 ms'],
  [90, 'seconds', '90 s'],
  [100_000, 'seconds', '27.8 h'],
  [1_234_567, undefined, '1.23 M'],
  [-1500, null, '-1.5 k'],
  [3, 'apples', '3 apples'],
  [null, 'bytes', '–'],
  [Number.NaN, 'bytes', '–'],
  [2e-6, undefined, '2e-6'],
  [2.346e-7, 'none', '2.35e-7'],
  [-0.00001, undefined, '-1e-5'],
  [0.00042, undefined, '0.00042'],
  [99.96, 'percent', '99.96 %'],
  [99.9, 'percent', '99.9 %'],
  [0.99996, 'ratio', '99.996 %'],
  [999_999, undefined, '999.999 k'],
  [999_999.9, undefined, '1 M'],
  [1e300, undefined, '1e288 T'],
  [1e20, 'none', '1e20'],
  [-0, undefined, '0'],
  [123_456, 'none', '123,456'],
  [1023.99, 'bytes', '1 KiB'],
])('%s in %s reads %s', (value, unit, text) => {
  expect(formatValue(value, unit)).toBe(text)
})

test('decimals are honoured', () => {
  expect(formatValue(1.23456, 'percent', 3)).toBe('1.235 %')
  expect(formatValue(1.23456, 'percent', 0)).toBe('1 %')
})

test('impossible decimals do not stop the page', () => {
  for (const decimals of [-1, 400, Number.NaN, 0.5])
    expect(
      formatValue(1.5, 'scientific', decimals) +
        formatValue(1.5, 'none', decimals) +
        formatValue(1.5, 'bytes', decimals),
    ).toBeTruthy()
})

test('few decimals do not reach the next unit, and nothing is minus zero', () => {
  expect(formatValue(999_999, undefined, 0)).toBe('1 M')
  expect(formatValue(-0.001, 'percent', 1)).toBe('0 %')
})
