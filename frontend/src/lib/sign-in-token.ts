let token: string | undefined

/**
 * Takes the single-use token of a sign-in link out of the address bar, where it would end up in
 * screenshots and bookmarks, and turns the page into the sign-in page, which leads on to where the
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

/** The token, once. */
export function consumeSignInToken(): string | undefined {
  const consumed = token
  token = undefined
  return consumed
}
