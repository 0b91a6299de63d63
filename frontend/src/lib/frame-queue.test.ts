import { expect, test, vi } from 'vitest'
import { bitByBit, leaveUndone } from './frame-queue'

test('jobs are done in tasks of their own, each owner once', async () => {
  const done: string[] = []
  const job = (name: string) => () => void done.push(name)
  const [a, b, c] = [{}, {}, {}]
  bitByBit(a, job('never'))
  bitByBit(a, job('a'))
  bitByBit(b, job('b'))
  bitByBit(c, job('c'))
  leaveUndone(c)
  expect(done).toEqual([])
  await vi.waitFor(() => expect(done).toEqual(['a', 'b']))
})
