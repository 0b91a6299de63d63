let token: string | undefined

/**
 * Removes the single-use token of a sign-in link from the address bar, where it would end up in
 * screenshots and bookmarks, and goes to the sign-in page, which then leads to where the
 * link pointed. Called before the router.
 */
export function captureSignInToken() {
  const found = /[#&]token=([^&]+)/.exec(window.location.hash)?.[1]
  if (!found) return
  token = decodeURIComponent(found)
  const { pathname } = window.location
  const next = pathname === '/' ? '' : `?next=${encodeURIComponent(pathname)}`
  window.history.replaceState(null, '', `/sign-in${next}`)
}

/** Returns the token and clears it. */
export function consumeSignInToken(): string | undefined {
  const consumed = token
  token = undefined
  return consumed
}
