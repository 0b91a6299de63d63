import { useEffect, useRef, useState } from 'react'
import { flushSync } from 'react-dom'
import { cancelFrameJob, enqueueFrameJob } from '@/lib/frame-queue'
import type { BoardData } from '../use-board-data'

/** Ranges such as today's grow a little with each refresh; a zoom or another range changes more. */
const isRefresh = (before: BoardData | undefined, after: BoardData | undefined) =>
  before !== undefined &&
  after !== undefined &&
  Math.abs(after.end - after.start - (before.end - before.start)) <=
    (before.end - before.start) / 20

/**
 * The data that a panel shows. A refresh brings new data to all panels of a board at once: they take
 * them one after another, a few per frame, so that the page stays responsive. What the user has
 * requested, such as another range, is shown at once.
 */
export function useShownData(newest: BoardData | undefined): BoardData | undefined {
  const [shown, setShown] = useState(newest)
  const owner = useRef<object>(setShown)
  const waits = isRefresh(shown, newest)
  useEffect(() => {
    if (waits) enqueueFrameJob(owner.current, () => flushSync(() => setShown(newest)))
    else setShown(newest)
    const { current } = owner
    return () => void cancelFrameJob(current)
  }, [newest, waits])
  return waits ? shown : newest
}
