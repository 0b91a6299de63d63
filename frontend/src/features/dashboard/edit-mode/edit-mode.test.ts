import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { Panel, UpdateDashboard } from '@/api/generated/types.gen'
import { difference, rebasePanels, updateOf } from './changes'
import { compacted } from './compacted'
import { adopt, change, createDraft, redo, saved, undo, withdrawn } from './draft'
import { applyLayout, freePosition, layoutOf, move, putBack, resize } from './layout'
import { QUIET_MS } from './saver'
import { board, panel, saver } from './test-boards'

const [a, b, c] = [panel('a', 0, 0), panel('b', 6, 0), panel('c', 0, 4)]
const spots = (panels: Panel[]) =>
  Object.fromEntries(panels.map(({ id, position: { x, y, w, h } }) => [id, [x, y, w, h].join(' ')]))

test('a panel moves by the arrow keys, and the others make room', () => {
  expect(spots(move([a, b, c], 'a', { y: 1 }))).toEqual({
    a: '0 4 6 4',
    b: '6 0 6 4',
    c: '0 0 6 4',
  })
  expect(spots(move([a, b, c], 'c', { y: -1 }))).toMatchObject({ c: '0 0 6 4', a: '0 4 6 4' })
  expect(spots(move([a], 'a', { x: 1 }))).toEqual({ a: '1 0 6 4' })
  expect(move([a], 'a', { x: -1 })).toEqual([a])
  expect(move([a], 'a', { y: 1 })).toEqual([a])
})

test('a panel grows within the grid and covers no other', () => {
  expect(spots(resize([a, b, c], 'a', { x: 1 }))).toMatchObject({ a: '0 0 7 4' })
  expect(spots(resize([a, c], 'a', { y: 1 }))).toEqual({ a: '0 0 6 5', c: '0 5 6 4' })
  expect(spots(resize([b], 'b', { x: 1 }))).toEqual({ b: '6 0 6 4' })
})

test('a panel that does not move is the same object', () => {
  const moved = move([a, b, c], 'a', { y: 1 })
  expect(moved[1]).toBe(b)
  expect(compacted([a, b])).toEqual([a, b])
})

test('gaps are closed as the grid closes them', () => {
  const chance = (below: number) => Math.floor(Math.random() * below)
  for (let round = 0; round < 200; round++) {
    const panels = Array.from({ length: 1 + chance(12) }, (_, index) => {
      const w = 1 + chance(12)
      return panel(String(index), chance(13 - w), chance(30), w, 1 + chance(6))
    })
    const found = compacted(panels)
    // It is at rest for the grid, and what doesn't overlap goes where the grid puts it.
    expect(applyLayout(found, layoutOf(found))).toBe(found)
    const apart = found.map((one) => ({
      ...one,
      position: { ...one.position, y: one.position.y * 2 },
    }))
    expect(spots(compacted(apart))).toEqual(spots(applyLayout(apart, layoutOf(apart))))
  }
})

test('a new panel stands beside the last where there is room', () => {
  expect(freePosition([], 6, 6)).toEqual({ x: 0, y: 0, w: 6, h: 6 })
  expect(freePosition([a], 6, 6)).toEqual({ x: 6, y: 0, w: 6, h: 6 })
  expect(freePosition([a, b], 6, 6)).toEqual({ x: 0, y: 4, w: 6, h: 6 })
})

test('only positions are sent when only positions differ', () => {
  const moved = { ...a, position: { ...a.position, y: 9 } }
  expect(difference([a, b], [a, b])).toBe('none')
  expect(updateOf(board(3, [a, b]), [moved, b])).toEqual({
    version: 3,
    layout: [
      { i: 'a', x: 0, y: 9, w: 6, h: 4 },
      { i: 'b', x: 6, y: 0, w: 6, h: 4 },
    ],
  })
  expect(updateOf(board(3, [a, b]), [b])?.panels?.map((sent) => sent.id)).toEqual(['b'])
  expect(updateOf(board(3, [a]), [{ ...a, title: 'x' }])?.panels?.[0]?.title).toBe('x')
})

test('our changes go on top of theirs and leave the rest to them', () => {
  const theirs = [{ ...a, title: 'theirs' }, b, panel('d', 0, 8)]
  const mine = [a, { ...b, title: 'mine' }, panel('e', 6, 8)]
  const merged = rebasePanels([a, b, c], mine, theirs)
  expect(merged.map((entry) => [entry.id, entry.title])).toEqual([
    ['a', 'theirs'],
    ['b', 'mine'],
    ['d', 'd'],
    ['e', 'e'],
  ])
})

test('a panel that someone else removed returns only if we changed it', () => {
  expect(rebasePanels([a, b], [a, { ...b, title: 'mine' }], [a]).map((entry) => entry.id)).toEqual([
    'a',
    'b',
  ])
  expect(rebasePanels([a, b], [a, b], [a]).map((entry) => entry.id)).toEqual(['a'])
})

test('undo and redo go through the changes', () => {
  const store = createDraft(board(1, [a]))
  store.setState((draft) => change(draft, [a, b]))
  store.setState((draft) => change(draft, [a, b, c]))
  store.setState(undo)
  expect(store.getState()).toMatchObject({ panels: [a, b], state: 'changed' })
  store.setState(undo)
  expect(store.getState()).toMatchObject({ panels: [a], state: 'saved' })
  store.setState(redo)
  expect(store.getState().panels).toEqual([a, b])
  store.setState((draft) => change(draft, [b]))
  expect(store.getState().future).toEqual([])
})

test('a newer version is adopted only without unsaved changes', () => {
  const store = createDraft(board(1, [a]))
  expect(adopt(store.getState(), board(2, [b])).panels).toEqual([b])
  store.setState((draft) => change(draft, [a, c]))
  expect(adopt(store.getState(), board(2, [b])).panels).toEqual([a, c])
})

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const conflict = { error: 'newer', code: 'CONFLICT' }

test('many changes in a row are saved once', async () => {
  const { store, calls } = saver(async (body) => board(2, body.panels as Panel[]))
  store.setState((draft) => change(draft, [a]))
  await vi.advanceTimersByTimeAsync(QUIET_MS - 1)
  store.setState((draft) => change(draft, [a, c]))
  await vi.advanceTimersByTimeAsync(QUIET_MS - 1)
  expect(calls).not.toHaveBeenCalled()
  await vi.advanceTimersByTimeAsync(1)
  expect(calls).toHaveBeenCalledTimes(1)
  expect(store.getState()).toMatchObject({ state: 'saved', base: { version: 2 } })
})

test('a change during a save is saved next, with the new version', async () => {
  const { store, calls } = saver(async (body) => {
    await new Promise((done) => setTimeout(done, 1000))
    return board(body.version + 1, body.panels as Panel[])
  })
  store.setState((draft) => change(draft, [a]))
  await vi.advanceTimersByTimeAsync(QUIET_MS + 100)
  store.setState((draft) => change(draft, [a, c]))
  await vi.advanceTimersByTimeAsync(4000)
  expect(calls.mock.calls.map(([body]) => body.version)).toEqual([1, 2])
  expect(store.getState()).toMatchObject({ state: 'saved', base: { version: 3 } })
})

test('a conflict keeps the draft and stops saving until the user decides', async () => {
  const { store, created, calls } = saver((body) =>
    body.version === 1
      ? Promise.reject(conflict)
      : Promise.resolve(board(8, (body.panels ?? []) as Panel[])),
  )
  store.setState((draft) => change(draft, [a]))
  await vi.advanceTimersByTimeAsync(QUIET_MS)
  expect(store.getState()).toMatchObject({ state: 'conflict', panels: [a] })
  store.setState((draft) => change(draft, [a, c]))
  await vi.advanceTimersByTimeAsync(5000)
  expect(calls).toHaveBeenCalledTimes(1)
  await created.overwrite()
  expect(calls.mock.calls[1]?.[0]).toMatchObject({ version: 7 })
  expect(store.getState()).toMatchObject({ state: 'saved', base: { version: 8 } })
})

test('reload replaces the draft with the version of the server', async () => {
  const { store, created } = saver(() => Promise.reject(conflict))
  store.setState((draft) => change(draft, [a]))
  await vi.advanceTimersByTimeAsync(QUIET_MS)
  await created.reload()
  expect(store.getState()).toMatchObject({ state: 'saved', panels: [a, b], base: { version: 7 } })
})

const slow = (conflicts: { count: number }) => {
  let version = 1
  return async (body: UpdateDashboard) => {
    await new Promise((done) => setTimeout(done, 1000))
    if (body.version !== version) {
      conflicts.count += 1
      throw conflict
    }
    version += 1
    return board(version, (body.panels ?? []) as Panel[])
  }
}

test('all who wait for a slow save get the newest state saved, by one request at a time', async () => {
  const conflicts = { count: 0 }
  const { store, created, calls } = saver(slow(conflicts))
  store.setState((draft) => change(draft, [a]))
  const waiting = [created.flush()]
  await vi.advanceTimersByTimeAsync(100)
  store.setState((draft) => change(draft, [a, c]))
  waiting.push(created.flush(), created.flush())
  await vi.advanceTimersByTimeAsync(100)
  store.setState((draft) => change(draft, [c]))
  waiting.push(created.flush())
  await vi.advanceTimersByTimeAsync(5000)
  expect(await Promise.all(waiting)).toEqual(['saved', 'saved', 'saved', 'saved'])
  expect(conflicts.count).toBe(0)
  expect(calls).toHaveBeenCalledTimes(2)
  expect(store.getState()).toMatchObject({ state: 'saved', base: { version: 3 } })
  expect(store.getState().panels.map(({ id }) => id)).toEqual(['c'])
})

test('after Overwrite, Undo takes back our change and leaves theirs', async () => {
  const theirs = panel('theirs', 0, 20)
  const { store, created } = saver(
    (body) =>
      body.version === 1
        ? Promise.reject(conflict)
        : Promise.resolve(board(body.version + 1, (body.panels ?? []) as Panel[])),
    board(7, [a, b, theirs]),
  )
  store.setState((draft) => change(draft, [a]))
  await vi.advanceTimersByTimeAsync(QUIET_MS)
  await created.overwrite()
  expect(store.getState().panels.map(({ id }) => id)).toEqual(['a', 'theirs'])
  store.setState(undo)
  const ids = store.getState().panels.map(({ id }) => id)
  expect(ids.sort()).toEqual(['a', 'b', 'theirs'])
})

test('without a network a change waits, and is saved once there is one', async () => {
  let online = false
  const { store, created, calls } = saver(
    async (body) => board(2, body.panels as Panel[]),
    undefined,
    { online: () => online },
  )
  store.setState((draft) => change(draft, [a]))
  await vi.advanceTimersByTimeAsync(QUIET_MS)
  expect(store.getState()).toMatchObject({ state: 'offline', panels: [a] })
  expect(calls).not.toHaveBeenCalled()
  expect(created.atRisk()).toBe(true)
  online = true
  expect(await created.flush()).toBe('saved')
  expect(store.getState().state).toBe('saved')
  expect(store.getState().panels.map(({ id }) => id)).toEqual(['a'])
})

test('a page that is left sends what it can, and asks about what it cannot', async () => {
  const large = { ...c, title: 'x'.repeat(70_000) }
  const { store, created, calls } = saver(async (body) => board(2, body.panels as Panel[]))
  store.setState((draft) => change(draft, [a]))
  expect(created.atRisk()).toBe(false)
  created.leave()
  expect(calls).toHaveBeenCalledTimes(1)
  await vi.advanceTimersByTimeAsync(0)
  store.setState((draft) => change(draft, [a, large]))
  expect(created.atRisk()).toBe(true)
  created.leave()
  expect(calls).toHaveBeenCalledTimes(1)
})

test('a page that is left during a save sends no second request beside it', async () => {
  const conflicts = { count: 0 }
  const { store, created, calls } = saver(slow(conflicts))
  store.setState((draft) => change(draft, [a]))
  void created.flush()
  store.setState((draft) => change(draft, [a, c]))
  created.leave()
  await vi.advanceTimersByTimeAsync(900)
  expect(calls).toHaveBeenCalledTimes(1)
})

test('a panel that is put back stands where it was, also after a save', () => {
  const before = [a, b, c]
  const after = compacted([b, c])
  const fromServer = structuredClone(after)
  expect(spots(putBack(fromServer, before, after, a))).toEqual(spots(before))
})

test('a save that is refused because the session ended waits for a sign-in', async () => {
  let signedIn = false
  const { store, created } = saver((body) =>
    signedIn
      ? Promise.resolve(board(2, body.panels as Panel[]))
      : Promise.reject({ error: 'sign in', code: 'UNAUTHORIZED' }),
  )
  store.setState((draft) => change(draft, [a]))
  await vi.advanceTimersByTimeAsync(QUIET_MS)
  expect(store.getState()).toMatchObject({ state: 'signed-out', panels: [a] })
  signedIn = true
  expect(await created.flush()).toBe('saved')
})

test('a save whose response was lost is found to be done', async () => {
  const { store, created } = saver(
    () => Promise.reject(new TypeError('Failed to fetch')),
    board(2, [a]),
  )
  store.setState((draft) => change(draft, [a]))
  expect(await created.flush()).toBe('saved')
  expect(store.getState()).toMatchObject({ state: 'saved', base: { version: 2 } })
})

test('a newer version is adopted with the undo steps on top of it', () => {
  const store = createDraft(board(1, [a, b]))
  store.setState((draft) => change(draft, [a]))
  store.setState((draft) => saved(draft, board(2, [a]), draft.panels))
  store.setState((draft) => adopt(draft, board(3, [a, panel('theirs', 0, 20)])))
  store.setState(undo)
  expect(
    store
      .getState()
      .panels.map(({ id }) => id)
      .sort(),
  ).toEqual(['a', 'b', 'theirs'])
})

test('an autosave and a newer version leave the panels that they do not change as they are', () => {
  const store = createDraft(board(1, [a, b]))
  store.setState((draft) => change(draft, [a, { ...b, title: 'mine' }]))
  const mine = store.getState().panels
  const fromServer = structuredClone(mine).map((one) => ({ ...one, updatedAt: 'now' }))
  store.setState((draft) => saved(draft, board(2, fromServer), mine))
  expect(store.getState().panels[0]).toBe(a)
  expect(store.getState().panels[1]).toBe(mine[1])
  const theirs = [
    structuredClone(a),
    { ...structuredClone(b), title: 'mine', type: 'area' as const },
  ]
  store.setState((draft) => adopt(draft, board(3, theirs)))
  const { panels, past } = store.getState()
  expect(panels[0]).toBe(a)
  expect(panels[1]?.type).toBe('area')
  expect(past.map((step) => step[0])).toEqual([a])
  expect(past[0]?.[0]).toBe(a)
})

test('a late conflict is the outcome of whoever waits, such as Done', async () => {
  const { store, created } = saver(async () => {
    await new Promise((done) => setTimeout(done, 3000))
    throw conflict
  })
  store.setState((draft) => change(draft, [a]))
  await vi.advanceTimersByTimeAsync(QUIET_MS)
  const done = created.flush()
  await vi.advanceTimersByTimeAsync(3000)
  expect(await done).toBe('conflict')
  expect(store.getState()).toMatchObject({ state: 'conflict', panels: [a] })
})

test('a change that is withdrawn leaves no trace, and what was made beside it stays', () => {
  const store = createDraft(board(1, [a, b]))
  store.setState((draft) => change(draft, [a]))
  const before = store.getState().panels
  store.setState((draft) => change(draft, [{ ...a, title: 'mine' }]))
  const after = store.getState().panels
  expect(withdrawn(store.getState(), before, after)).toMatchObject({ panels: [a], future: [] })
  store.setState((draft) => change(draft, [{ ...a, title: 'mine' }, c]))
  const left = withdrawn(store.getState(), before, after)
  expect(left.panels.map(({ title }) => title)).toEqual(['a', 'c'])
  // A conflict about nothing else is none any more.
  const conflict = {
    ...change(createDraft(board(1, [a])).getState(), [c]),
    state: 'conflict' as const,
  }
  expect(withdrawn(conflict, [a], conflict.panels).state).toBe('saved')
})
