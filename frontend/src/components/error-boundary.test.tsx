import { cleanup, render, screen } from '@testing-library/react'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { messageOf } from '@/lib/errors'
import { ErrorBoundary } from './error-boundary'

beforeEach(() => void vi.spyOn(console, 'error').mockImplementation(() => {}))
afterEach(() => {
  cleanup()
  vi.restoreAllMocks()
})

function Part({ broken }: { broken: boolean }) {
  if (broken) throw new TypeError("can't read x of undefined")
  return <p>whole</p>
}

test('an error of ours is not called an error of the connection', () => {
  render(
    <ErrorBoundary>
      <Part broken />
    </ErrorBoundary>,
  )
  expect(screen.queryByText(/not responding/)).toBeNull()
  expect(screen.getByText(/can't read x/)).toBeTruthy()
  expect(messageOf(new TypeError('Failed to fetch'))).toContain('not responding')
})

test('what is repaired is shown again without a click', () => {
  const shown = (broken: boolean) => (
    <ErrorBoundary shown={broken}>
      <Part broken={broken} />
    </ErrorBoundary>
  )
  const { rerender } = render(shown(true))
  expect(screen.queryByText('whole')).toBeNull()
  rerender(shown(false))
  expect(screen.getByText('whole')).toBeTruthy()
})
