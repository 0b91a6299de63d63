import { afterEach, expect, test, vi } from 'vitest'
import { discardWork, holdWork, maySignOut } from './unsaved-work'

const confirm = vi.spyOn(window, 'confirm')
const drops: (() => void)[] = []
afterEach(() => {
  for (const drop of drops.splice(0)) drop()
  confirm.mockReset()
})

test('who signs out is asked about what could not be saved, and about nothing else', async () => {
  let saved = false
  drops.push(
    holdWork({
      question: () => (saved ? undefined : 'Discard the draft?'),
      save: async () => {
        saved = true
      },
    }),
    holdWork({ question: () => undefined, save: () => Promise.resolve() }),
  )
  expect(await maySignOut()).toBe(true)
  expect(confirm).not.toHaveBeenCalled()
  const leave = holdWork({ question: () => 'Leave without saving this panel?' })
  confirm.mockReturnValueOnce(false)
  expect(await maySignOut()).toBe(false)
  expect(confirm.mock.calls).toEqual([['Leave without saving this panel?']])
  leave()
  expect(await maySignOut()).toBe(true)
})

test('of who signs out nothing stays, but forms that are still open', () => {
  const discard = vi.fn()
  drops.push(holdWork({ question: () => 'Discard?', discard }))
  discardWork()
  discardWork()
  expect(discard).toHaveBeenCalledTimes(1)
})
