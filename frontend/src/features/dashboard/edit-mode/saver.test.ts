import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { Dashboard, Panel, UpdateDashboard } from '@/api/generated/types.gen'
import { change, undo } from './draft'
import { QUIET_MS } from './saver'
import { board, panel, saver } from './test-boards'

const [a, b, c] = [panel('a', 0, 0), panel('b', 6, 0), panel('c', 0, 4)]
const ids = (panels: Panel[]) => panels.map(({ id }) => id)

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

/** A server that keeps what it is sent, after `ms`; `fault` may answer in its place. */
function server(fault: (body: UpdateDashboard, count: number) => unknown = () => {}, ms = 0) {
  let latest = board(1, [a, b])
  let count = 0
  const put = async (body: UpdateDashboard): Promise<Dashboard> => {
    if (ms) await new Promise((done) => setTimeout(done, ms))
    const failure = fault(body, count++)
    if (failure) throw failure
    if (body.version !== latest.version) throw { error: 'newer', code: 'CONFLICT' }
    latest = board(latest.version + 1, (body.panels ?? []) as Panel[])
    return latest
  }
  return { put, latest: async () => latest, ids: () => ids(latest.panels), now: () => latest }
}

test('an edit during the save of a page that is left is saved after it', async () => {
  const there = server(undefined, 1000)
  const { store, created } = saver(there.put, there.latest)
  store.setState((draft) => change(draft, [a]))
  created.leave()
  expect(store.getState().state).toBe('saving')
  await vi.advanceTimersByTimeAsync(100)
  store.setState((draft) => change(draft, [a, c]))
  const done = created.flush()
  await vi.advanceTimersByTimeAsync(5000)
  expect(await done).toBe('saved')
  expect(there.ids()).toEqual(['a', 'c'])
  expect(store.getState().state).toBe('saved')
})

test.each([
  ['no response', new TypeError('Failed to fetch')],
  ['a timeout', new DOMException('late', 'TimeoutError')],
  ['a page of a proxy', '<html>502 Bad Gateway</html>'],
  ['an outage', { error: 'The database is away.', code: 'UNAVAILABLE' }],
  ['a fault', { error: 'Something failed.', code: 'INTERNAL_ERROR' }],
  ['too many requests', { error: 'Too many requests.', code: 'RATE_LIMITED' }],
])('after %s an edit is kept, marked, and tried again', async (_name, error) => {
  const there = server((_body, count) => (count < 3 ? error : undefined))
  const { store, created, calls, onRefused } = saver(there.put, there.latest)
  store.setState((draft) => change(draft, [a]))
  await vi.advanceTimersByTimeAsync(QUIET_MS)
  expect(store.getState()).toMatchObject({ state: 'retrying', panels: [a] })
  expect(store.getState().failure).toBeTruthy()
  expect(created.atRisk()).toBe(true)
  // It stays marked while it is tried again, and an edit meanwhile does not look saved either.
  store.setState((draft) => change(draft, [a, c]))
  expect(store.getState().state).toBe('retrying')
  await vi.advanceTimersByTimeAsync(60_000)
  expect(store.getState()).toMatchObject({ state: 'saved', failure: undefined })
  expect(there.ids()).toEqual(['a', 'c'])
  expect(calls).toHaveBeenCalledTimes(4)
  expect(onRefused).not.toHaveBeenCalled()
})

test('it is tried more and more seldom, and at once when asked', async () => {
  let away = true
  const there = server(() => (away ? new TypeError('Failed to fetch') : undefined))
  const { store, created, calls } = saver(there.put, there.latest)
  store.setState((draft) => change(draft, [a]))
  await vi.advanceTimersByTimeAsync(QUIET_MS + 120_000)
  expect(calls.mock.calls.length).toBeGreaterThan(4)
  expect(calls.mock.calls.length).toBeLessThan(10)
  away = false
  expect(await created.flush()).toBe('saved')
})

test('what the server refuses is kept with its reason, until it is changed or discarded', async () => {
  const there = server((body) =>
    body.panels?.some(({ title }) => title === 'bad')
      ? { error: 'No such title.', code: 'VALIDATION_ERROR' }
      : undefined,
  )
  const { store, created, calls, onRefused } = saver(there.put, there.latest)
  const bad = { ...a, title: 'bad' }
  store.setState((draft) => change(draft, [bad, b]))
  await vi.advanceTimersByTimeAsync(QUIET_MS + 60_000)
  expect(calls).toHaveBeenCalledTimes(1)
  expect(onRefused).toHaveBeenCalledTimes(1)
  expect(store.getState()).toMatchObject({ state: 'refused', failure: 'No such title.' })
  expect(store.getState().panels).toEqual([bad, b])
  expect(created.atRisk()).toBe(true)
  store.setState((draft) => change(draft, [{ ...a, title: 'good' }, b]))
  await vi.advanceTimersByTimeAsync(QUIET_MS)
  expect(store.getState().state).toBe('saved')
  expect(there.now().panels[0]?.title).toBe('good')
  store.setState((draft) => change(draft, [bad]))
  await vi.advanceTimersByTimeAsync(QUIET_MS)
  created.discard()
  expect(store.getState().state).toBe('saved')
  expect(store.getState().panels[0]?.title).toBe('good')
  store.setState(undo)
  expect(store.getState().panels).toEqual([bad])
})

test('an edit during a save that is refused is saved next', async () => {
  const there = server(
    (_body, count) => (count ? undefined : { error: 'No.', code: 'VALIDATION_ERROR' }),
    1000,
  )
  const { store, created } = saver(there.put, there.latest)
  store.setState((draft) => change(draft, [{ ...a, title: 'bad' }]))
  const first = created.flush()
  await vi.advanceTimersByTimeAsync(100)
  store.setState((draft) => change(draft, [a, c]))
  const second = created.flush()
  await vi.advanceTimersByTimeAsync(5000)
  expect(await Promise.all([first, second])).toEqual(['saved', 'saved'])
  expect(there.ids()).toEqual(['a', 'c'])
})

/** A server whose first save is done, but whose response is lost, and which is away for a while. */
function forgetful() {
  let down = true
  const there = server()
  const put = async (body: UpdateDashboard) => {
    const saved = await there.put(body)
    if (down) throw new TypeError('Failed to fetch')
    return saved
  }
  const latest = async () => {
    if (down) throw new TypeError('Failed to fetch')
    return there.latest()
  }
  return {
    ...there,
    put,
    latest,
    back: () => {
      down = false
    },
  }
}

test('a save that was done without a word is no conflict with the next edit', async () => {
  const there = forgetful()
  const { store, created } = saver(there.put, there.latest)
  store.setState((draft) => change(draft, [a]))
  await vi.advanceTimersByTimeAsync(QUIET_MS)
  store.setState((draft) => change(draft, [a, c]))
  there.back()
  expect(await created.flush()).toBe('saved')
  expect(there.ids()).toEqual(['a', 'c'])
  expect(store.getState()).toMatchObject({ state: 'saved', base: { version: 3 } })
})

test('what is undone before anybody knows that it was saved is undone there too', async () => {
  const there = forgetful()
  const { store } = saver(there.put, there.latest)
  store.setState((draft) => change(draft, [a]))
  await vi.advanceTimersByTimeAsync(QUIET_MS)
  store.setState(undo)
  expect(there.ids()).toEqual(['a'])
  there.back()
  await vi.advanceTimersByTimeAsync(60_000)
  expect(there.ids()).toEqual(['a', 'b'])
  expect(store.getState().state).toBe('saved')
})

test('nothing is saved in the name of somebody else who has signed in', async () => {
  let signedIn = false
  const there = server()
  const { store, created, calls } = saver(there.put, there.latest, { signedIn: () => signedIn })
  store.setState((draft) => change(draft, [a]))
  await vi.advanceTimersByTimeAsync(QUIET_MS)
  created.leave()
  expect(store.getState()).toMatchObject({ state: 'signed-out', panels: [a] })
  expect(calls).not.toHaveBeenCalled()
  signedIn = true
  expect(await created.flush()).toBe('saved')
})

test('what is undone while it is being saved is undone on the server', async () => {
  const there = server(undefined, 1000)
  const { store } = saver(there.put, there.latest)
  store.setState((draft) => change(draft, [a]))
  await vi.advanceTimersByTimeAsync(QUIET_MS + 100)
  store.setState(undo)
  expect(store.getState().state).not.toBe('saved')
  await vi.advanceTimersByTimeAsync(5000)
  expect(there.ids()).toEqual(['a', 'b'])
  expect(store.getState()).toMatchObject({ state: 'saved', base: { version: 3 } })
})

test.each(['VALIDATION_ERROR', 'CONFLICT'])(
  'a save that ends with %s after it was undone leaves nothing to decide',
  async (code) => {
    const there = server(() => ({ error: 'No.', code }), 1000)
    const { store } = saver(there.put, there.latest)
    store.setState((draft) => change(draft, [a]))
    await vi.advanceTimersByTimeAsync(QUIET_MS + 100)
    store.setState(undo)
    await vi.advanceTimersByTimeAsync(5000)
    expect(store.getState().state).toBe('saved')
  },
)
