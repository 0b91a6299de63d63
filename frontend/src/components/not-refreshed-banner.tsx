import { type Query, useQueryClient } from '@tanstack/react-query'
import { CloudAlert } from 'lucide-react'
import { useEffect, useState } from 'react'
import { isOld } from '@/lib/age'
import { messageOf } from '@/lib/errors'

/** How often, in milliseconds, the page's data are looked at. */
const TICK = 2000

/** Why data on the page are older than they should be; undefined if they are not. */
export function reasonOf(query: Query, now: number): string | undefined {
  const { data, status, error, dataUpdatedAt } = query.state
  // Panels have marks of their own.
  if (data === undefined || query.queryKey[0] === 'board') return undefined
  if (status === 'error') return messageOf(error)
  const every = query.observers
    .map(({ options }) => options.refetchInterval)
    .filter((interval) => typeof interval === 'number')
  if (!every.length || !isOld(dataUpdatedAt, now, Math.min(...every))) return undefined
  return 'Pulseboard is not responding.'
}

/** Says that something on the page is not up to date, because its refresh failed or hangs. */
export function NotRefreshedBanner() {
  const cache = useQueryClient().getQueryCache()
  const [reason, setReason] = useState<string>()
  useEffect(() => {
    const look = () => {
      const reasons = cache
        .findAll({ type: 'active' })
        .flatMap((query) => reasonOf(query, Date.now()) ?? [])
      setReason(reasons[0])
    }
    const timer = setInterval(look, TICK)
    return () => clearInterval(timer)
  }, [cache])
  if (!reason) return null
  return (
    <p
      role="status"
      aria-label="Not refreshed"
      className="sticky top-0 z-40 flex items-center justify-center gap-2 border-b border-line bg-raised px-4 py-2 text-sm"
    >
      <CloudAlert size={16} className="shrink-0 text-danger" aria-hidden="true" />
      What you see is not up to date, and is tried again. {reason}
    </p>
  )
}
