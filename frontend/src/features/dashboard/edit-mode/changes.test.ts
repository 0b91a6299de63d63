import { expect, test } from 'vitest'
import type { Panel } from '@/api/generated/types.gen'
import { rebaseDraft, rebasePanels } from './changes'
import { adopt, change, createDraft, type Draft, saved, undo } from './draft'
import { board, panel } from './test-boards'

const [a, b] = [panel('a', 0, 0), panel('b', 6, 0)]
const withOptions = (one: Panel, options: Partial<Panel['options']>): Panel => ({
  ...one,
  options: { ...one.options, ...options },
})
const query = (text: string) => ({ query: text }) as Panel['queries'][number]

/** A draft whose change of panel a was saved as version 2. */
function after(mine: Panel[]): Draft {
  const store = createDraft(board(1, [a, b]))
  store.setState((draft) => change(draft, mine))
  store.setState((draft) => saved(draft, board(2, draft.panels), draft.panels))
  return store.getState()
}

test('Undo takes back our change of a panel, and leaves what someone else changed in it', () => {
  const mine = { ...a, title: 'mine' }
  const theirs = withOptions(mine, { unit: 'bytes', decimals: 3 })
  const undone = undo(adopt(after([mine, b]), board(3, [theirs, b])))
  expect(undone.panels[0]).toMatchObject({ title: 'a', options: { unit: 'bytes', decimals: 3 } })
})

test('Undo never takes back what someone else made of the same field', () => {
  const theirs = { ...a, title: 'theirs', position: { ...a.position, h: 9 } }
  const mine = { ...a, title: 'mine', position: { ...a.position, h: 7 } }
  const draft = adopt(after([mine, b]), board(3, [theirs, b]))
  // Nothing of ours is left to take back.
  expect(draft.past).toEqual([])
  expect(undo(draft).panels).toEqual([theirs, b])
})

test('Undo removes no panel of ours that someone else has changed since', () => {
  const added = panel('c', 0, 4)
  const draft = after([a, b, added])
  const undone = undo(adopt(draft, board(3, [a, b, { ...added, title: 'theirs' }])))
  expect(undone.panels.map(({ title }) => title)).toEqual(['a', 'b', 'theirs'])
})

test('Undo brings no panel back that someone else has removed', () => {
  const draft = after([{ ...a, title: 'mine' }, b])
  expect(undo(adopt(draft, board(3, [b]))).panels.map(({ id }) => id)).toEqual(['b'])
})

test('changes of both to one panel go together, and where they meet Overwrite takes ours', () => {
  const old = { ...a, queries: [query('up'), query('down')] }
  const mine = {
    ...withOptions(old, { unit: 'bytes', min: 1 }),
    queries: [query('up{}'), query('down')],
  }
  const theirs = {
    ...withOptions(old, { unit: 'percent', max: 9 }),
    title: 'theirs',
    queries: [query('up'), query('down{}')],
  }
  const [merged] = rebasePanels([old], [mine], [theirs])
  expect(merged).toMatchObject({
    title: 'theirs',
    options: { unit: 'bytes', min: 1, max: 9 },
    queries: [query('up{}'), query('down{}')],
  })
})

test('after Overwrite, Undo shows what they had made of what ours replaced', () => {
  const store = createDraft(board(1, [a, b]))
  store.setState((draft) => change(draft, [{ ...a, title: 'mine' }, b]))
  const draft = rebaseDraft(store.getState(), board(2, [{ ...a, title: 'theirs' }, b]))
  expect(draft.panels[0]?.title).toBe('mine')
  expect(undo(draft).panels[0]?.title).toBe('theirs')
})

test('whatever two people do, Undo changes nothing that the other has made last', () => {
  const chance = (below: number) => Math.floor(Math.random() * below)
  for (let round = 0; round < 60; round++) {
    let draft = createDraft(board(1, [a, b])).getState()
    let version = 1
    const theirs = new Map<string, string>()
    const value = () => `v${round} ${version} ${chance(1e6)}`
    const edited = (panels: Panel[], who?: Map<string, string>) => {
      const [at, field, next] = [chance(2), chance(3), value()]
      const key = `${panels[at]?.id} ${field}`
      if (who) who.set(key, next)
      else theirs.delete(key)
      return panels.map((one, index) => {
        if (index !== at) return one
        if (field === 0) return { ...one, title: next }
        return withOptions(
          one,
          field === 1 ? { unit: next as 'bytes' } : ({ suffix: next } as object),
        )
      })
    }
    const read = (one: Panel, field: string) =>
      field === '0'
        ? one.title
        : field === '1'
          ? one.options.unit
          : (one.options as { suffix?: string }).suffix
    for (let step = 0; step < 6; step++) {
      if (chance(2)) {
        draft = change(draft, edited(draft.panels))
        version += 1
        draft = saved(draft, board(version, draft.panels), draft.panels)
      } else {
        version += 1
        draft = adopt(draft, board(version, edited(draft.panels, theirs)))
      }
    }
    while (draft.past.length) {
      draft = undo(draft)
      for (const [key, kept] of theirs) {
        const [id = '', field = ''] = key.split(' ')
        const one = draft.panels.find((found) => found.id === id)
        expect(one && read(one, field)).toBe(kept)
      }
    }
  }
})
