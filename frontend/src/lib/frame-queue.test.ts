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

test('a job that throws does not stop the others', async () => {
  const reported = vi.fn()
  vi.stubGlobal('reportError', reported)
  const done: string[] = []
  enqueueFrameJob({}, () => {
    throw new Error('broken')
  })
  for (const name of ['a', 'b', 'c']) enqueueFrameJob({}, () => void done.push(name))
  await vi.waitFor(() => expect(done).toEqual(['a', 'b', 'c']))
  expect(reported).toHaveBeenCalledTimes(1)
  vi.unstubAllGlobals()
})
