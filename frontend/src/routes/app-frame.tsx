import { useQueryClient } from '@tanstack/react-query'
import { Outlet, useMatch, useNavigate, useSearch } from '@tanstack/react-router'
import { lazy, Suspense, useState } from 'react'
import type { User } from '@/api/generated/types.gen'
import { ConnectionBanner } from '@/components/connection-banner'
import { ErrorBoundary } from '@/components/error-boundary'
import { Shell } from '@/components/shell'
import { ShortcutsDialog } from '@/components/shortcuts-dialog'
import { SignInAgain } from '@/features/auth/sign-in'
import { useSession } from '@/lib/session'
import { useShortcutKeys, useShortcuts } from '@/lib/shortcuts'
import { useTheme } from '@/lib/theme'

const SearchPalette = lazy(() =>
  import('@/features/search/search-palette').then(({ SearchPalette }) => ({
    default: SearchPalette,
  })),
)

/** The frame of each page: navigation, search and shortcuts. A kiosk has no navigation. */
export function AppFrame({ user }: { user: User }) {
  const navigate = useNavigate()
  const cache = useQueryClient()
  const { ended, resume } = useSession()
  const board = useMatch({ from: '/app/dashboards/$id', shouldThrow: false })
  const asked = useSearch({
    strict: false,
    select: (search) => 'kiosk' in search && search.kiosk !== undefined,
  })
  // Other pages have no way back from it.
  const kiosk = asked && board !== undefined
  const [open, setOpen] = useState<'search' | 'shortcuts'>()
  const choose = useTheme((state) => state.choose)
  const close = () => setOpen(undefined)
  const search = () => setOpen('search')
  const group = 'Global'
  useShortcutKeys()
  useShortcuts([
    { group, keys: '/', label: 'Search', run: search },
    { group, keys: 'mod+k', label: 'Search', run: search },
    { group, keys: '?', label: 'Keyboard shortcuts', run: () => setOpen('shortcuts') },
    { group, keys: 'g h', label: 'Go to dashboards', run: () => void navigate({ to: '/' }) },
    { group, keys: 'g a', label: 'Go to Add data', run: () => void navigate({ to: '/add-data' }) },
    { group, keys: 'g u', label: 'Go to usage', run: () => void navigate({ to: '/usage' }) },
    { group, keys: 'g s', label: 'Go to status', run: () => void navigate({ to: '/status' }) },
  ])
  const page = <Outlet />
  return (
    <>
      <ConnectionBanner />
      {kiosk ? (
        <main className="p-3 sm:p-4">{page}</main>
      ) : (
        <Shell user={user} onSearch={search}>
          {page}
        </Shell>
      )}
      {ended && (
        <SignInAgain
          email={user.email}
          onDone={() => {
            resume()
            void cache.invalidateQueries()
          }}
        />
      )}
      {open === 'shortcuts' && <ShortcutsDialog onClose={close} />}
      {open === 'search' && (
        <ErrorBoundary>
          <Suspense>
            <SearchPalette
              onClose={close}
              onDashboard={(id) => void navigate({ to: '/dashboards/$id', params: { id } })}
              onMetric={(name) => void navigate({ to: '/metrics/$name', params: { name } })}
              actions={[
                { label: 'Go to API keys', run: () => void navigate({ to: '/api-keys' }) },
                { label: 'Go to my account', run: () => void navigate({ to: '/account' }) },
                { label: 'Theme: light', run: () => choose('light') },
                { label: 'Theme: dark', run: () => choose('dark') },
                { label: 'Theme: system', run: () => choose('system') },
              ]}
            />
          </Suspense>
        </ErrorBoundary>
      )}
    </>
  )
}
