import './lib/zod-setup'
import './api/client'
import './styles.css'
import {
  hashKey,
  MutationCache,
  QueryCache,
  QueryClient,
  QueryClientProvider,
} from '@tanstack/react-query'
import { RouterProvider } from '@tanstack/react-router'
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { Toaster, toast } from 'sonner'
import { getMeOptions, getMeQueryKey } from './api/generated/@tanstack/react-query.gen'
import { ErrorBoundary } from './components/error-boundary'
import { isApiError, isSignedOut, messageOf } from './lib/errors'
import { useSession } from './lib/session'
import { captureSignInToken } from './lib/sign-in-token'
import { useTheme } from './lib/theme'
import { makeRouter } from './routes/router'

/** One refused request says little: the session has ended when the server says so again. */
async function checkSession() {
  if (useSession.getState().ended) return
  try {
    await cache.fetchQuery({ ...getMeOptions(), staleTime: 0, retry: false })
  } catch (error) {
    if (isSignedOut(error)) useSession.getState().end()
  }
}

const cache: QueryClient = new QueryClient({
  queryCache: new QueryCache({
    onError: (error, query) => {
      // The query for the current user handles a 401 itself: it leads to the sign-in page.
      if (query.queryHash !== hashKey(getMeQueryKey()) && isSignedOut(error)) void checkSession()
    },
  }),
  mutationCache: new MutationCache({
    onError: (error, _variables, _result, mutation) => {
      if (isSignedOut(error)) void checkSession()
      else if (mutation.meta?.silent !== true) toast.error(messageOf(error))
    },
  }),
  defaultOptions: {
    // Without a network a change is refused at once: one that waits unseen would look done.
    mutations: { networkMode: 'always' },
    queries: {
      staleTime: 10_000,
      refetchOnWindowFocus: false,
      retry: (count, error) => count < 2 && !isApiError(error),
    },
  },
})

captureSignInToken()
const router = makeRouter(cache)

function Toasts() {
  const theme = useTheme((state) => state.shown)
  return <Toaster theme={theme} position="bottom-right" richColors closeButton />
}

const element = document.getElementById('root')
if (element) {
  createRoot(element).render(
    <StrictMode>
      <ErrorBoundary>
        <QueryClientProvider client={cache}>
          <RouterProvider router={router} />
          <Toasts />
        </QueryClientProvider>
      </ErrorBoundary>
    </StrictMode>,
  )
}
