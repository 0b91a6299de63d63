import { act, cleanup, fireEvent, render, renderHook, screen } from '@testing-library/react'
import { useState } from 'react'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { useTypedText, useTypedValue } from './use-typed-text'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => {
  cleanup()
  vi.useRealTimers()
})

const listOf = (text: string) =>
  text
    .split(',')
    .map((part) => part.trim())
    .filter(Boolean)

function Lists() {
  const [rows, setRows] = useState([['a', 'b'], ['c'], ['d']])
  return (
    <>
      {rows.map((row, index) => (
        <List key={index} value={row} onChange={(next) => setRows(rows.with(index, next))} />
      ))}
      <button type="button" onClick={() => setRows(rows.slice(1))}>
        Remove
      </button>
      <output>{JSON.stringify(rows)}</output>
    </>
  )
}

function List({ value, onChange }: { value: string[]; onChange: (value: string[]) => void }) {
  const [text, setText] = useTypedText(value, listOf, (list) => list.join(', '))
  return (
    <input
      value={text}
      onChange={(event) => {
        setText(event.target.value)
        onChange(listOf(event.target.value))
      }}
    />
  )
}

const texts = () => screen.getAllByRole<HTMLInputElement>('textbox').map(({ value }) => value)

test('after a removal each row shows and saves its own value', () => {
  render(<Lists />)
  const [first] = screen.getAllByRole('textbox')
  if (first) fireEvent.change(first, { target: { value: 'a, b,' } })
  expect(texts()).toEqual(['a, b,', 'c', 'd'])
  fireEvent.click(screen.getByRole('button'))
  expect(texts()).toEqual(['c', 'd'])
  const [kept] = screen.getAllByRole('textbox')
  if (kept) fireEvent.change(kept, { target: { value: 'c, x' } })
  expect(screen.getByRole('status').textContent).toBe('[["c","x"],["d"]]')
})

test('what is typed is there at once and stored after a rest, by one write', () => {
  const store = vi.fn()
  const { result, rerender } = renderHook(({ given }) => useTypedValue(given, store), {
    initialProps: { given: '' },
  })
  for (const text of ['c', 'cp', 'cpu']) act(() => result.current[1](text))
  expect(result.current[0]).toBe('cpu')
  expect(store).not.toHaveBeenCalled()
  act(() => void vi.advanceTimersByTime(300))
  expect(store.mock.calls).toEqual([['cpu']])
  act(() => result.current[1]('cpu_'))
  rerender({ given: 'cpu' })
  expect(result.current[0]).toBe('cpu_')
  act(() => void vi.advanceTimersByTime(300))
  rerender({ given: 'cpu_' })
  rerender({ given: 'other' })
  expect(result.current[0]).toBe('other')
})

test('a stored value that comes back late does not replace what was typed since', () => {
  const { result, rerender } = renderHook(({ given }) => useTypedValue(given, () => {}), {
    initialProps: { given: '' },
  })
  act(() => result.current[1]('a'))
  act(() => void vi.advanceTimersByTime(300))
  act(() => result.current[1]('ab'))
  act(() => void vi.advanceTimersByTime(300))
  rerender({ given: 'a' })
  expect(result.current[0]).toBe('ab')
  rerender({ given: 'ab' })
  expect(result.current[0]).toBe('ab')
})

test.each([
  ['a click', () => document.dispatchEvent(new Event('pointerdown'))],
  ['a Tab', () => document.dispatchEvent(new Event('focusout'))],
  ['a shortcut', () => fireEvent.keyDown(document, { key: 'ArrowLeft', altKey: true })],
  ['a reload', () => fireEvent.keyDown(document, { key: 'F5' })],
  ['the end of the page', () => window.dispatchEvent(new Event('pagehide'))],
])('what was typed just before %s is stored, once', (_name, leave) => {
  const store = vi.fn()
  const { result } = renderHook(() => useTypedValue<string>('', store))
  act(() => result.current[1]('cpu'))
  act(() => void fireEvent.keyDown(document, { key: 'x' }))
  expect(store).not.toHaveBeenCalled()
  act(() => void leave())
  expect(store.mock.calls).toEqual([['cpu']])
  act(() => void vi.advanceTimersByTime(1000))
  act(() => void leave())
  expect(store).toHaveBeenCalledTimes(1)
})
