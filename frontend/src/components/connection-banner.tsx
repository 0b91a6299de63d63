import { onlineManager } from '@tanstack/react-query'
import { WifiOff } from 'lucide-react'
import { useSyncExternalStore } from 'react'
import { NotRefreshedBanner } from './not-refreshed-banner'

const subscribe = (changed: () => void) => onlineManager.subscribe(changed)

/** Says that there is no network, or no response: what is on the screen is not refreshed. */
export function ConnectionBanner() {
  const online = useSyncExternalStore(subscribe, () => onlineManager.isOnline())
  if (online) return <NotRefreshedBanner />
  return (
    <p
      role="status"
      aria-label="Connection"
      className="sticky top-0 z-40 flex items-center justify-center gap-2 border-b border-line bg-raised px-4 py-2 text-sm"
    >
      <WifiOff size={16} className="shrink-0 text-danger" aria-hidden="true" />
      You are offline. What you see is not refreshed, and nothing is saved until the connection is
      back.
    </p>
  )
}
