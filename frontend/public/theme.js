// Before the first paint, so that a dark page never flashes white.
;(() => {
  const chosen = localStorage.getItem('pulseboard-theme') ?? 'system'
  const dark =
    chosen === 'dark' || (chosen === 'system' && matchMedia('(prefers-color-scheme: dark)').matches)
  document.documentElement.dataset.theme = dark ? 'dark' : 'light'
})()
