import { beforeEach, expect, test, vi } from 'vitest'
import { change, createDraft, type Draft, undo } from './draft'
import { type Backup, createBackups, takenUp } from './draft-backup'
import { board, panel } from './test-boards'

const [a, b, c] = [panel('a', 0, 0), panel('b', 6, 0), panel('c', 0, 4)]
const ids = ({ panels }: Draft) => panels.map(({ id }) => id)
const changed = (version: number, ...panels: (typeof a)[]) =>
  change(createDraft(board(version, [a, b])).getState(), panels)

/** What a page that loads now finds. */
async function found(owner: string, id = 'board'): Promise<Backup[]> {
  let taken: Backup[] = []
  await createBackups(owner, id, 'now').take((backups) => {
    taken = backups
  })
  return taken
}

/** Locks as browsers have them: those of pages that are open. */
function locks(open: string[]) {
  const query = async () => ({ held: open.map((name) => ({ name })), pending: [] })
  const request = async (name: string, task: () => Promise<unknown>) => {
    open.push(name)
    await task()
  }
  Object.defineProperty(navigator, 'locks', { configurable: true, value: { query, request } })
}

beforeEach(() => {
  localStorage.clear()
  Reflect.deleteProperty(navigator, 'locks')
})

test('what was not saved is taken up again when the dashboard is opened, once', async () => {
  createBackups('me', 'board', 'before').keep(changed(3, a, c))
  const draft = takenUp(createDraft(board(3, [a, b])).getState(), await found('me'))
  expect(draft).toMatchObject({ panels: [a, c], state: 'changed' })
  expect(ids(undo(draft))).toEqual(['a', 'b'])
  expect(await found('me')).toEqual([])
})

test('it belongs to whose it is, and to its dashboard', async () => {
  createBackups('me', 'board', 'before').keep(changed(3, a, c))
  expect(await found('somebody else')).toEqual([])
  expect(await found('me', 'another')).toEqual([])
  expect(await found('me')).toHaveLength(1)
})

test('two pages do not write over each other, and both are taken up', async () => {
  vi.useFakeTimers({ now: 1000 })
  const [first, second] = ['first', 'second'].map((name) => createBackups('me', 'board', name))
  first?.keep(changed(3, a))
  vi.setSystemTime(2000)
  second?.keep(changed(3, a, b, c))
  vi.useRealTimers()
  const draft = takenUp(createDraft(board(3, [a, b])).getState(), await found('me'))
  expect(ids(draft)).toEqual(['a', 'c'])
  expect(ids(undo(draft))).toEqual(['a'])
})

test('what a page that is open keeps stays with it', async () => {
  const open: string[] = []
  locks(open)
  createBackups('me', 'board', 'open').keep(changed(3, a))
  expect(await found('me')).toEqual([])
  open.length = 0
  expect(await found('me')).toHaveLength(1)
})

test('what was not saved is a conflict if someone has changed the dashboard since', async () => {
  createBackups('me', 'board', 'before').keep(changed(3, a))
  const theirs = createDraft(board(4, [{ ...a, title: 'theirs' }, b])).getState()
  expect(takenUp(theirs, await found('me'))).toMatchObject({ state: 'conflict', panels: [a] })
})

test('what did reach the server in the end is not taken up', async () => {
  createBackups('me', 'board', 'before').keep(changed(3, a))
  const done = createDraft(board(4, [a])).getState()
  expect(takenUp(done, await found('me'))).toBe(done)
})

test('a browser without room says so, and what can not be read harms nothing', async () => {
  const set = vi.spyOn(Storage.prototype, 'setItem').mockImplementation(() => {
    throw new DOMException('full', 'QuotaExceededError')
  })
  expect(createBackups('me', 'board', 'before').keep(changed(3, a))).toBe(false)
  set.mockRestore()
  localStorage.setItem('pulseboard-draft:me:board:broken', '{')
  expect(await found('me')).toEqual([])
})
