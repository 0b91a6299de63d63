import { renderHook } from '@testing-library/react'
import { expect, test } from 'vitest'
import { useRowKeys } from './use-row-keys'

type Row = { text: string }
const row = (text: string): Row => ({ text })

test('rows keep their keys when others are edited, removed, added and moved', () => {
  const [a, b, c] = [row('a'), row('b'), row('c')]
  const { result, rerender } = renderHook(({ rows }) => useRowKeys(rows), {
    initialProps: { rows: [a, b, c] },
  })
  const [keyA, keyB, keyC] = result.current
  expect(new Set(result.current).size).toBe(3)
  const edited = row('b, typed')
  rerender({ rows: [a, edited, c] })
  expect(result.current).toEqual([keyA, keyB, keyC])
  rerender({ rows: [edited, c] })
  expect(result.current).toEqual([keyB, keyC])
  rerender({ rows: [c, edited] })
  expect(result.current).toEqual([keyC, keyB])
  rerender({ rows: [c, row('new'), edited] })
  expect(result.current[0]).toBe(keyC)
  expect(result.current[2]).toBe(keyB)
  expect([keyA, keyB, keyC]).not.toContain(result.current[1])
})

test('the same object twice has two keys', () => {
  const one = row('a')
  const { result } = renderHook(() => useRowKeys([one, one]))
  expect(new Set(result.current).size).toBe(2)
})
