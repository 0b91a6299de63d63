import { expect, test } from 'vitest'
import { actionsFor, moveSelection } from './palette-actions'

const run = () => {}
const actions = [
  { label: 'Sign out', run },
  { label: 'Theme: dark', run },
]
const shortcuts = [
  { keys: 'd r', label: 'Refresh now', group: 'Dashboard', run },
  { keys: '/', label: 'Search', group: 'Global', run },
]
const labels = (text: string) => actionsFor(text, actions, shortcuts).map(({ label }) => label)

test('actions match all typed words', () => {
  expect(labels('dark th')).toEqual(['Theme: dark'])
  expect(labels('NOW')).toEqual(['Refresh now'])
  expect(labels('search')).toEqual([])
  expect(labels('')).toEqual(['Sign out', 'Theme: dark', 'Refresh now'])
})

test('arrow keys wrap around', () => {
  expect(moveSelection('ArrowDown', 2, 3)).toBe(0)
  expect(moveSelection('ArrowUp', 0, 3)).toBe(2)
  expect(moveSelection('PageDown', 0, 3)).toBe(2)
  expect(moveSelection('Enter', 0, 3)).toBeUndefined()
  expect(moveSelection('ArrowDown', 0, 0)).toBeUndefined()
})
