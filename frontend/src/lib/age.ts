/** How long before `now` (milliseconds since 1970) a timestamp was, in words. */
export function timeAgo(timestamp: string, now: number): string {
  const seconds = Math.max(0, Math.round((now - Date.parse(timestamp)) / 1000))
  if (seconds < 90) return `${seconds} s ago`
  if (seconds < 5400) return `${Math.round(seconds / 60)} min ago`
  if (seconds < 129_600) return `${Math.round(seconds / 3600)} h ago`
  return `${Math.round(seconds / 86_400)} days ago`
}

/** Less, in milliseconds, is no age: a response may take some seconds. */
const LEAST = 10_000

/** Whether data are older than they should be: two refreshes have brought nothing. */
export const isOld = (at: number, now: number, every: number) =>
  now - at > Math.max(LEAST, 2 * every)
