/**
 * Keeps the screen on until the function that is returned is called. A browser ends a wake lock
 * when the page is hidden or power is low: it is asked for again once the page is shown.
 */
export function keepAwake(): () => void {
  let lock: WakeLockSentinel | undefined
  let asked = false
  let ended = false
  const ask = async () => {
    const held = lock !== undefined && !lock.released
    if (asked || held || ended || document.visibilityState !== 'visible') return
    asked = true
    // If it is refused (no permission, low battery), the system's settings apply.
    lock = await navigator.wakeLock?.request('screen').catch(() => undefined)
    asked = false
    if (ended) void lock?.release()
  }
  const shown = () => void ask()
  void ask()
  document.addEventListener('visibilitychange', shown)
  // Where it was refused or ended on a page that stayed visible.
  const timer = setInterval(shown, 60_000)
  return () => {
    ended = true
    clearInterval(timer)
    document.removeEventListener('visibilitychange', shown)
    void lock?.release()
  }
}
