import { type QueryClient, useQuery } from '@tanstack/react-query'
import {
  createRootRouteWithContext,
  createRoute,
  createRouter,
  Link,
  lazyRouteComponent,
  Outlet,
  useRouter,
} from '@tanstack/react-router'
import { useEffect } from 'react'
import { getMeOptions } from '@/api/generated/@tanstack/react-query.gen'
import { Card, Empty, Failure } from '@/components/ui/controls'
import { readAddDataSearch } from '@/features/add-data/add-data-search'
import { readAlertsSearch, readNewRuleSearch } from '@/features/alerts/alerts-search'
import { SignIn } from '@/features/auth/sign-in'
import { readBoardSearch } from '@/features/dashboard/board-search'
import { readExploreSearch } from '@/features/dashboard/explore/explore-search'
import { DashboardList } from '@/features/dashboard-list/dashboard-list'
import { readMetricUsageSearch, readUsageSearch } from '@/features/usage/usage-search'
import { isSignedOut, messageOf } from '@/lib/errors'
import { oneText, parseSearch, stringifySearch } from '@/lib/search-params'
import { AppFrame } from './app-frame'

const root = createRootRouteWithContext<{ cache: QueryClient }>()({
  component: Outlet,
  notFoundComponent: NotFound,
  errorComponent: ({ error, reset }) => (
    <>
      <title>Something went wrong · Pulseboard</title>
      <Failure message={messageOf(error)} onRetry={reset} />
    </>
  ),
})

function NotFound() {
  return (
    <Card className="m-6">
      <title>Page not found · Pulseboard</title>
      <Empty title="Page not found">
        <Link to="/" className="text-accent underline">
          Go to dashboards
        </Link>
      </Empty>
    </Card>
  )
}

const signIn = createRoute({
  getParentRoute: () => root,
  path: '/sign-in',
  validateSearch: (search: Record<string, unknown>): { next?: string } => ({
    next: oneText(search.next),
  }),
  component: function SignInPage() {
    const { next } = signIn.useSearch()
    const navigate = signIn.useNavigate()
    // Only a path of this site: another URL would be an open redirect.
    const target = next?.startsWith('/') && !next.startsWith('//') ? next : '/'
    return <SignIn onDone={() => void navigate({ href: target })} />
  },
})

/**
 * Goes to the sign-in page once, with the way back. `<Navigate>` would navigate on every render,
 * and the way back, read while rendering, would change with each navigation, without end.
 */
function ToSignIn() {
  const router = useRouter()
  useEffect(() => {
    const { href, pathname } = router.latestLocation
    if (pathname === '/sign-in') return
    void router.navigate({
      to: '/sign-in',
      search: { next: href === '/' ? undefined : href },
      replace: true,
    })
  }, [router])
  return null
}

const app = createRoute({
  getParentRoute: () => root,
  id: 'app',
  component: function App() {
    const { data, error, refetch } = useQuery({
      ...getMeOptions(),
      staleTime: 60_000,
      retry: false,
      // Renews the session of a display that nobody touches.
      refetchInterval: 3_600_000,
      refetchIntervalInBackground: true,
    })
    if (error && isSignedOut(error) && !data) return <ToSignIn />
    if (error && !data) return <Failure message={messageOf(error)} onRetry={() => void refetch()} />
    if (!data) return null
    return <AppFrame user={data.data} />
  },
})

const home = createRoute({ getParentRoute: () => app, path: '/', component: DashboardList })

const board = createRoute({
  getParentRoute: () => app,
  path: '/dashboards/$id',
  validateSearch: readBoardSearch,
  component: lazyRouteComponent(() => import('./dashboard-page'), 'DashboardPage'),
})

const panelEditor = createRoute({
  getParentRoute: () => app,
  path: '/dashboards/$id/panels/$panel/edit',
  validateSearch: readBoardSearch,
  component: lazyRouteComponent(() => import('./panel-editor-page'), 'PanelEditorPage'),
})

const explore = createRoute({
  getParentRoute: () => app,
  path: '/explore',
  validateSearch: readExploreSearch,
  component: lazyRouteComponent(() => import('./explore-page'), 'ExplorePage'),
})

const alerts = createRoute({
  getParentRoute: () => app,
  path: '/alerts',
  validateSearch: readAlertsSearch,
  component: lazyRouteComponent(() => import('./alert-pages'), 'AlertRulesPage'),
})

const newAlert = createRoute({
  getParentRoute: () => app,
  path: '/alerts/new',
  validateSearch: readNewRuleSearch,
  component: lazyRouteComponent(() => import('./alert-pages'), 'NewAlertRulePage'),
})

const alert = createRoute({
  getParentRoute: () => app,
  path: '/alerts/$id',
  component: lazyRouteComponent(() => import('./alert-pages'), 'AlertRulePage'),
})

const editAlert = createRoute({
  getParentRoute: () => app,
  path: '/alerts/$id/edit',
  component: lazyRouteComponent(() => import('./alert-pages'), 'EditAlertRulePage'),
})

const metric = createRoute({
  getParentRoute: () => app,
  path: '/metrics/$name',
  validateSearch: readBoardSearch,
  component: lazyRouteComponent(() => import('./dashboard-page'), 'MetricPage'),
})

const addData = createRoute({
  getParentRoute: () => app,
  path: '/add-data',
  validateSearch: readAddDataSearch,
  component: lazyRouteComponent(() => import('./add-data-page'), 'AddDataPage'),
})

const usage = createRoute({
  getParentRoute: () => app,
  path: '/usage',
  validateSearch: readUsageSearch,
  component: lazyRouteComponent(() => import('./usage-pages'), 'UsagePage'),
})

const metricUsage = createRoute({
  getParentRoute: () => app,
  path: '/usage/$name',
  validateSearch: readMetricUsageSearch,
  component: lazyRouteComponent(() => import('./usage-pages'), 'MetricUsagePage'),
})

const keys = createRoute({
  getParentRoute: () => app,
  path: '/api-keys',
  component: lazyRouteComponent(() => import('@/features/keys/api-keys'), 'ApiKeys'),
})

const users = createRoute({
  getParentRoute: () => app,
  path: '/users',
  component: lazyRouteComponent(() => import('@/features/users/users-page'), 'UsersPage'),
})

const status = createRoute({
  getParentRoute: () => app,
  path: '/status',
  component: lazyRouteComponent(() => import('@/features/status/status-page'), 'StatusPage'),
})

const account = createRoute({
  getParentRoute: () => app,
  path: '/account',
  component: lazyRouteComponent(() => import('./account-page'), 'AccountPage'),
})

export const makeRouter = (cache: QueryClient) =>
  createRouter({
    routeTree: root.addChildren([
      signIn,
      app.addChildren([
        home,
        board,
        panelEditor,
        metric,
        explore,
        alerts,
        newAlert,
        addData,
        usage,
        metricUsage,
        alert,
        editAlert,
        keys,
        users,
        status,
        account,
      ]),
    ]),
    context: { cache },
    parseSearch,
    stringifySearch,
    defaultPreload: 'intent',
    defaultErrorComponent: ({ error, reset }) => (
      <Failure message={`This page can't be shown: ${messageOf(error)}`} onRetry={reset} />
    ),
  })

declare module '@tanstack/react-router' {
  interface Register {
    router: ReturnType<typeof makeRouter>
  }
}
