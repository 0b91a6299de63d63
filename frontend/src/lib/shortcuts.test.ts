import { expect, test } from 'vitest'
import { capsOf, matchKeys, pressOf, type Shortcut } from './shortcuts'

const press = (key: string, held: Partial<KeyboardEvent> = {}) =>
  pressOf({ key, ctrlKey: false, metaKey: false, altKey: false, shiftKey: false, ...held })
const shortcut = (keys: string): Shortcut => ({ keys, label: '', group: '', run: () => {} })

test('key presses are named', () => {
  expect(press('?', { shiftKey: true })).toBe('?')
  expect(press('K', { ctrlKey: true })).toBe('mod+k')
  expect(press('k', { metaKey: true })).toBe('mod+k')
  expect(press('Z', { ctrlKey: true, shiftKey: true })).toBe('mod+shift+z')
  expect(press('Shift', { shiftKey: true })).toBeUndefined()
  expect(press('e', { altKey: true })).toBeUndefined()
})

test('a key sequence waits for further keys', () => {
  const table = [shortcut('t ArrowLeft'), shortcut('t z'), shortcut('v')]
  expect(matchKeys(['t'], table)).toEqual({ found: undefined, open: true })
  expect(matchKeys(['t', 'z'], table).found).toBe(table[1])
  expect(matchKeys(['z'], table)).toEqual({ found: undefined, open: false })
  expect(matchKeys(['v'], table).found).toBe(table[2])
})

test('caps are shown as on the keyboard', () => {
  expect(capsOf('mod+k', false)).toEqual([['Ctrl', 'k']])
  expect(capsOf('t ArrowLeft', true)).toEqual([['t'], ['←']])
})
