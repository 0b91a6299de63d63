/** Work per frame, in milliseconds and in jobs. What is drawn is also painted in that frame. */
const BUDGET_MS = 5
const MAX_JOBS = 2

const waiting = new Map<object, () => void>()
let running = false

/**
 * Runs jobs that are requested at the same time, such as a refresh of each panel of a board, a few
 * per frame, so that the page stays responsive. A later job of an owner replaces its earlier one.
 * Nothing runs while the tab is hidden.
 */
export function enqueueFrameJob(owner: object, job: () => void) {
  waiting.set(owner, job)
  if (running) return
  running = true
  requestAnimationFrame(work)
}

/** Cancels the pending job of an owner. */
export const cancelFrameJob = (owner: object) => waiting.delete(owner)

function work() {
  const start = performance.now()
  let done = 0
  for (const [owner, job] of waiting) {
    waiting.delete(owner)
    try {
      job()
    } catch (error) {
      // The others still run; the error is reported as any other that nobody caught.
      reportError(error)
    }
    done += 1
    if (done >= MAX_JOBS || performance.now() - start > BUDGET_MS) break
  }
  if (waiting.size) requestAnimationFrame(work)
  else running = false
}
