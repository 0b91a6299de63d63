import { Clock, LoaderCircle } from 'lucide-react'
import { createContext, use, useEffect, useState } from 'react'
import { isOld, timeAgo } from '@/lib/age'

/** Milliseconds between two refreshes of the page's panels; undefined when they are not refreshed. */
export const RefreshContext = createContext<number | undefined>(undefined)

/** How often the marks are looked at again. */
const TICK = 2000

/** The time, now and again. */
function useNow(running: boolean): number {
  const [now, setNow] = useState(Date.now)
  useEffect(() => {
    if (!running) return
    setNow(Date.now())
    const timer = setInterval(() => setNow(Date.now()), TICK)
    return () => clearInterval(timer)
  }, [running])
  return now
}

/** Marks a panel whose data are older than two refreshes, or of another range than the chosen one. */
export function DataAge({ at, stale }: { at: number | undefined; stale: boolean }) {
  const every = use(RefreshContext)
  const now = useNow(at !== undefined && every !== undefined)
  if (at !== undefined && every !== undefined && isOld(at, now, every)) {
    const age = timeAgo(new Date(at).toISOString(), now)
    return (
      <span
        role="status"
        aria-label={`Last data ${age}`}
        title="The last refreshes have brought no data."
        className="flex items-center gap-1 text-xs whitespace-nowrap text-danger"
      >
        <Clock size={13} aria-hidden="true" /> {age}
      </span>
    )
  }
  if (!stale) return null
  return (
    <span role="img" aria-label="Loading" title="Loading" className="text-muted">
      <LoaderCircle size={14} className="motion-safe:animate-spin" aria-hidden="true" />
    </span>
  )
}

/** Says after a while that a first response is still awaited. */
export function StillLoading() {
  const [waited, setWaited] = useState(false)
  useEffect(() => {
    const timer = setTimeout(() => setWaited(true), 4000)
    return () => clearTimeout(timer)
  }, [])
  return waited ? (
    <p role="status" className="absolute inset-0 grid place-items-center text-sm text-muted">
      Still waiting for a response…
    </p>
  ) : null
}
