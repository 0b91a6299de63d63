/**
 * Runs tasks with the same key one after the other, in the order in which they were given; others
 * don't wait. A task that fails stops none.
 */
export function createTurns() {
  const last = new Map<string, Promise<unknown>>()
  return <T>(key: string, task: () => Promise<T>): Promise<T> => {
    const before = last.get(key) ?? Promise.resolve()
    const run = before.then(task, task)
    last.set(key, run)
    const done = () => {
      if (last.get(key) === run) last.delete(key)
    }
    run.then(done, done)
    return run
  }
}
