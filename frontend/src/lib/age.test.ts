import { expect, test } from 'vitest'
import { isOld } from './age'

test('data are old once two refreshes have brought nothing', () => {
  expect(isOld(0, 19_000, 10_000)).toBe(false)
  expect(isOld(0, 21_000, 10_000)).toBe(true)
  expect(isOld(0, 9_000, 1_000)).toBe(false)
  expect(isOld(0, 119_000, 60_000)).toBe(false)
})
