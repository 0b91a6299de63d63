import { expect, test, vi } from 'vitest'
import { cancelFrameJob, enqueueFrameJob } from './frame-queue'

test('jobs are done in tasks of their own, each owner once', async () => {
  const done: string[] = []
  const job = (name: string) => () => void done.push(name)
  const [a, b, c] = [{}, {}, {}]
  enqueueFrameJob(a, job('never'))
  enqueueFrameJob(a, job('a'))
  enqueueFrameJob(b, job('b'))
  enqueueFrameJob(c, job('c'))
  cancelFrameJob(c)
  expect(done).toEqual([])
  await vi.waitFor(() => expect(done).toEqual(['a', 'b']))
})
