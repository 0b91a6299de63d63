import { QueryClient, QueryClientProvider } from '@tanstack/react-query'
import { RouterProvider } from '@tanstack/react-router'
import { cleanup, configure, render, screen } from '@testing-library/react'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { client } from '@/api/client'

// A busy machine loads a page's code slowly; speed is not tested here.
configure({ asyncUtilTimeout: 20_000 })
vi.setConfig({ testTimeout: 120_000 })

const refusal = { error: 'Nobody is signed in.', code: 'UNAUTHORIZED' }

beforeEach(() => {
  // Node's Request needs an absolute URL; the browser's does not.
  client.setConfig({ baseUrl: window.location.origin })
  vi.stubGlobal('matchMedia', () => ({ matches: false, addEventListener: () => {} }))
  vi.stubGlobal('scrollTo', () => {})
  vi.stubGlobal('fetch', async () => Response.json(refusal, { status: 401 }))
})
afterEach(() => {
  cleanup()
  vi.unstubAllGlobals()
})

async function open(path: string) {
  window.history.replaceState(null, '', path)
  // Imported after the stubs: the theme reads the colour scheme when it loads.
  const { makeRouter } = await import('./router')
  const cache = new QueryClient({ defaultOptions: { queries: { retry: false } } })
  const router = makeRouter(cache)
  const navigate = vi.spyOn(router, 'navigate')
  render(
    <QueryClientProvider client={cache}>
      <RouterProvider router={router} />
    </QueryClientProvider>,
  )
  return navigate
}

test.each([
  ['/', null],
  ['/api-keys', '/api-keys'],
  ['/dashboards/x?from=now-5m', '/dashboards/x?from=now-5m'],
])('who is signed out and opens %s signs in once and comes back', async (path, next) => {
  const navigate = await open(path)
  await screen.findByRole('heading', { name: 'Sign in' })
  expect(navigate).toHaveBeenCalledTimes(1)
  expect(window.location.pathname).toBe('/sign-in')
  expect(new URLSearchParams(window.location.search).get('next')).toBe(next)
})

test('a way back that is a number does not stop the sign-in page', async () => {
  await open('/sign-in?next=5')
  await screen.findByRole('heading', { name: 'Sign in' })
})

test('a refresh that is a number does not stop the board', async () => {
  const me = { id: 1, email: 'a@example.com', role: 'admin' }
  vi.stubGlobal('fetch', async (request: Request) =>
    request.url.endsWith('/auth/me')
      ? Response.json({ data: me })
      : Response.json({ error: 'That board is gone.', code: 'NOT_FOUND' }, { status: 404 }),
  )
  await open('/dashboards/x?refresh=5')
  await screen.findByText('That board is gone.')
})
