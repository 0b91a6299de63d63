import { cleanup, fireEvent, render, screen } from '@testing-library/react'
import { useState } from 'react'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { TimeRange } from '@/lib/time-range'
import type { Zone } from '@/lib/zone'
import { RangePicker } from './range-picker'

class Observer {
  observe() {}
  unobserve() {}
  disconnect() {}
}
beforeEach(() => {
  vi.stubEnv('TZ', 'Pacific/Auckland')
  vi.stubGlobal('ResizeObserver', Observer)
})
afterEach(() => {
  cleanup()
  vi.unstubAllEnvs()
  vi.unstubAllGlobals()
})

const RANGE = { from: '1790000000000', to: '1790003600000' }

function Picker({ chosen }: { chosen: (range: TimeRange) => void }) {
  const [zone, setZone] = useState<Zone>('browser')
  return <RangePicker range={RANGE} zone={zone} onChange={chosen} onZone={setZone} />
}

test('another time zone writes the same times, and applying them shifts nothing', () => {
  const chosen = vi.fn()
  render(<Picker chosen={chosen} />)
  fireEvent.click(screen.getByRole('button', { name: /^Time range/ }))
  const from = screen.getByLabelText<HTMLInputElement>('From')
  const local = from.value
  const zones = screen.getByLabelText('Time zone')
  fireEvent.change(zones, { target: { value: 'utc' } })
  expect(from.value).toBe('2026-09-21 14:13:20')
  expect(from.value).not.toBe(local)
  fireEvent.click(screen.getByRole('button', { name: 'Apply' }))
  expect(chosen.mock.calls).toEqual([[RANGE]])
})

test('what is typed stays when the popover closes without it being applied', () => {
  const chosen = vi.fn()
  render(<Picker chosen={chosen} />)
  const button = screen.getByRole('button', { name: /^Time range/ })
  fireEvent.click(button)
  const typed = { target: { value: 'now-7m' } }
  fireEvent.change(screen.getByLabelText('From'), typed)
  fireEvent.keyDown(document, { key: 'Escape' })
  expect(screen.queryByLabelText('From')).toBeNull()
  fireEvent.click(button)
  expect(screen.getByLabelText<HTMLInputElement>('From').value).toBe('now-7m')
  fireEvent.change(screen.getByLabelText('To'), { target: { value: 'now' } })
  fireEvent.click(screen.getByRole('button', { name: 'Apply' }))
  expect(chosen.mock.calls).toEqual([[{ from: 'now-7m', to: 'now' }]])
})
