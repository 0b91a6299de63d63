import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { keepAwake } from './keep-awake'

type Lock = { released: boolean; release: () => Promise<void> }
let locks: Lock[] = []
const request = vi.fn(async () => {
  const lock: Lock = {
    released: false,
    release: async () => {
      lock.released = true
    },
  }
  locks.push(lock)
  return lock
})

function show(state: 'visible' | 'hidden') {
  Object.defineProperty(document, 'visibilityState', { configurable: true, value: state })
  document.dispatchEvent(new Event('visibilitychange'))
}

beforeEach(() => {
  vi.useFakeTimers()
  locks = []
  request.mockClear()
  Object.defineProperty(navigator, 'wakeLock', { configurable: true, value: { request } })
  show('visible')
})
afterEach(() => void vi.useRealTimers())

const settle = () => vi.advanceTimersByTimeAsync(0)

test('a lock that ended while the page was hidden is asked for when it is shown', async () => {
  const end = keepAwake()
  await settle()
  show('hidden')
  await locks[0]?.release()
  await settle()
  expect(request).toHaveBeenCalledTimes(1)
  show('visible')
  await settle()
  expect(locks.map(({ released }) => released)).toEqual([true, false])
  end()
  show('visible')
  await settle()
  expect(locks.map(({ released }) => released)).toEqual([true, true])
})

test('a lock that was refused or taken away is asked for again, and one that holds is not', async () => {
  request.mockRejectedValueOnce(new DOMException('low battery', 'NotAllowedError'))
  const end = keepAwake()
  await settle()
  expect(locks).toEqual([])
  await vi.advanceTimersByTimeAsync(60_000)
  expect(locks).toHaveLength(1)
  show('visible')
  await vi.advanceTimersByTimeAsync(120_000)
  expect(locks).toHaveLength(1)
  await locks[0]?.release()
  await vi.advanceTimersByTimeAsync(60_000)
  expect(locks).toHaveLength(2)
  end()
})

test('a lock that comes after the view was left is let go', async () => {
  keepAwake()()
  await settle()
  expect(locks[0]?.released).toBe(true)
})
