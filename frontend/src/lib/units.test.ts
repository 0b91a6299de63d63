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
      formatValue(1.5, 'scientific', decimals) + formatValue(1.5, 'none', decimals),
    ).toBeTruthy()
})
