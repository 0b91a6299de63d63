import { expect, test } from 'vitest'
import { writeSelector } from '@/lib/selectors'
import { addCondition, readUsageSearch } from './usage-search'

test('unknown values in the URL are ignored', () => {
  expect(readUsageSearch({ q: 'cpu', order: 'cost', page: '3' })).toEqual({
    q: 'cpu',
    order: 'cost',
    page: 3,
  })
  expect(readUsageSearch({ order: 'size', page: '-1' })).toEqual({
    q: undefined,
    order: undefined,
    page: undefined,
  })
})

test('conditions make a selector, and values are quoted', () => {
  expect(writeSelector('cpu')).toBe('cpu')
  expect(writeSelector('cpu', ' ')).toBe('cpu')
  const one = addCondition(undefined, 'path', 'C:\\"x"')
  expect(writeSelector('cpu', addCondition(one, 'host', 'a'))).toBe(
    'cpu{path="C:\\\\\\"x\\"", host="a"}',
  )
})
