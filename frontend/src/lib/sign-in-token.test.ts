import { expect, test } from 'vitest'
import { captureSignInToken, consumeSignInToken } from './sign-in-token'

test('the token leaves the address bar and is given out once', () => {
  window.history.replaceState(null, '', '/#token=a%2Bb')
  captureSignInToken()
  expect(window.location.href).not.toContain('token')
  expect(window.location.pathname).toBe('/sign-in')
  expect(consumeSignInToken()).toBe('a+b')
  expect(consumeSignInToken()).toBeUndefined()
})

test('the page that a link points to comes after signing in', () => {
  window.history.replaceState(null, '', '/dashboards/7#token=ab')
  captureSignInToken()
  expect(window.location.pathname).toBe('/sign-in')
  expect(new URLSearchParams(window.location.search).get('next')).toBe('/dashboards/7')
  expect(consumeSignInToken()).toBe('ab')
})

test('without a token nothing changes', () => {
  window.history.replaceState(null, '', '/dashboards/1')
  captureSignInToken()
  expect(window.location.pathname).toBe('/dashboards/1')
  expect(consumeSignInToken()).toBeUndefined()
})
