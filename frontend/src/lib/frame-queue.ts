/** Work of one frame, in milliseconds and in jobs: drawn canvases are also painted in their frame. */
const BUDGET_MS = 5
const MAX_JOBS = 2

const waiting = new Map<object, () => void>()
let running = false

/**
 * Does work that many ask for at once, such as drawing each chart of a board, a few jobs a frame,
 * so that the hand is never kept waiting. A later job of the same owner takes its earlier one's
 * place. Nothing is done while the tab is hidden.
 */
export function enqueueFrameJob(owner: object, job: () => void) {
  waiting.set(owner, job)
  if (running) return
  running = true
  requestAnimationFrame(work)
}

/** Takes back what an owner asked for. */
export const cancelFrameJob = (owner: object) => waiting.delete(owner)

function work() {
  const start = performance.now()
  let done = 0
  for (const [owner, job] of waiting) {
    waiting.delete(owner)
    job()
    done += 1
    if (done >= MAX_JOBS || performance.now() - start > BUDGET_MS) break
  }
  if (waiting.size) requestAnimationFrame(work)
  else running = false
}
