import { expect, test } from 'vitest'
import { allTexts, oneText, parseSearch, stringifySearch } from './search-params'

test.each([
  ['?from=now-1h&to=now', { from: 'now-1h', to: 'now' }],
  ['?from=1769860800000', { from: '1769860800000' }],
  ['?refresh=5&next=true&panel=null', { refresh: '5', next: 'true', panel: 'null' }],
  ['?var-host=a&var-host=b', { 'var-host': ['a', 'b'] }],
  ['?from=now/d&next=/dashboards/x', { from: 'now/d', next: '/dashboards/x' }],
  ['', {}],
])('%s is read as written and written as read', (text, search) => {
  expect(parseSearch(text)).toEqual(search)
  expect(stringifySearch(search)).toBe(text)
})

test('values in a URL are not quoted', () => {
  expect(stringifySearch({ from: '5', to: undefined })).toBe('?from=5')
})

test('a value reads as one string or as many', () => {
  expect(oneText(['a', 'b'])).toBe('b')
  expect(oneText(undefined)).toBeUndefined()
  expect(allTexts('a')).toEqual(['a'])
  expect(allTexts(undefined)).toEqual([])
})
