import { useMutation, useQueryClient } from '@tanstack/react-query'
import { Link, useNavigate } from '@tanstack/react-router'
import clsx from 'clsx'
import {
  Activity,
  BellRing,
  Compass,
  Ellipsis,
  Gauge,
  KeyRound,
  LayoutDashboard,
  LogOut,
  Monitor,
  Moon,
  Plus,
  Search,
  Sun,
  UserRound,
  Users,
} from 'lucide-react'
import type { ReactNode } from 'react'
import { logoutMutation } from '@/api/generated/@tanstack/react-query.gen'
import type { User } from '@/api/generated/types.gen'
import { type Theme, useTheme } from '@/lib/theme'
import { discardWork, maySignOut } from '@/lib/unsaved-work'
import { FiringBadge } from './firing-badge'
import { Button } from './ui/controls'
import { Menu, MenuItem } from './ui/menu'

const THEMES: Record<Theme, { icon: typeof Sun; next: Theme }> = {
  light: { icon: Sun, next: 'dark' },
  dark: { icon: Moon, next: 'system' },
  system: { icon: Monitor, next: 'light' },
}

export function ThemeButton() {
  const { theme, choose } = useTheme()
  const { icon: Icon, next } = THEMES[theme]
  return (
    <Button
      variant="ghost"
      className="w-9 !px-0"
      aria-label={`Theme: ${theme}`}
      title={`Theme: ${theme}`}
      onClick={() => choose(next)}
    >
      <Icon size={17} aria-hidden="true" />
    </Button>
  )
}

export function Brand() {
  return (
    <span className="flex items-center gap-2 font-semibold tracking-tight">
      <img src="/favicon.svg" alt="" width={24} height={24} />
      <span className="hidden sm:inline">Pulseboard</span>
    </span>
  )
}

/** Signs out, once what is not saved is saved or given up. */
export function useSignOut() {
  const navigate = useNavigate()
  const cache = useQueryClient()
  const logout = useMutation({
    ...logoutMutation(),
    onSuccess: async () => {
      discardWork()
      cache.clear()
      await navigate({ to: '/sign-in', ignoreBlocker: true })
    },
  })
  return async () => {
    if (await maySignOut()) logout.mutate({})
  }
}

type ShellProps = { user: User; onSearch: () => void; children: ReactNode }

export function Shell({ user, onSearch, children }: ShellProps) {
  const signOut = useSignOut()
  const navigate = useNavigate()
  const main = [
    { to: '/', label: 'Dashboards', icon: LayoutDashboard },
    { to: '/explore', label: 'Explore', icon: Compass },
    { to: '/alerts', label: 'Alerts', icon: BellRing },
    { to: '/add-data', label: 'Add data', icon: Plus },
  ] as const
  // On narrower screens these are in a menu.
  const others = [
    { to: '/usage', label: 'Usage', icon: Gauge, shown: true },
    { to: '/api-keys', label: 'API keys', icon: KeyRound, shown: user.role !== 'viewer' },
    { to: '/users', label: 'Users', icon: Users, shown: user.role === 'admin' },
    { to: '/status', label: 'Status', icon: Activity, shown: true },
  ] as const
  const shownOthers = others.filter(({ shown }) => shown)
  return (
    <div className="min-h-full">
      <a
        href="#content"
        className="sr-only focus:not-sr-only focus:absolute focus:z-40 focus:m-2 focus:rounded-md focus:bg-accent focus:px-3 focus:py-2 focus:text-accent-text"
      >
        Skip to content
      </a>
      <header className="sticky top-0 z-30 border-b border-line bg-surface">
        <div className="mx-auto flex h-13 max-w-[1600px] items-center gap-1 px-3 sm:px-5">
          <Link to="/" aria-label="Pulseboard home" className="mr-2 sm:mr-4">
            <Brand />
          </Link>
          <nav aria-label="Main" className="flex gap-1 max-sm:gap-0">
            {[...main, ...shownOthers].map(({ to, label, icon: Icon }) => (
              <Link
                key={to}
                to={to}
                className={clsx(
                  'flex h-9 items-center gap-2 rounded-md px-2.5 text-muted hover:bg-raised hover:text-text max-sm:px-2',
                  to === '/add-data' && 'font-medium !text-accent',
                  shownOthers.some((other) => other.to === to) && 'max-xl:hidden',
                )}
                activeProps={{ className: 'bg-raised !text-text' }}
                activeOptions={{ exact: to === '/' }}
              >
                <Icon size={16} aria-hidden="true" />
                <span className="max-sm:sr-only">{label}</span>
                {to === '/alerts' && <FiringBadge />}
              </Link>
            ))}
            <Menu
              trigger={
                <Button
                  variant="ghost"
                  className="w-9 !px-0 text-muted xl:hidden"
                  aria-label="More pages"
                >
                  <Ellipsis size={17} aria-hidden="true" />
                </Button>
              }
            >
              {shownOthers.map(({ to, label, icon: Icon }) => (
                <MenuItem key={to} onSelect={() => void navigate({ to })}>
                  <Icon size={16} aria-hidden="true" /> {label}
                </MenuItem>
              ))}
            </Menu>
          </nav>
          <div className="ml-auto flex items-center gap-1">
            <Button
              variant="ghost"
              className="w-9 !px-0 text-muted xl:w-32 xl:justify-start xl:border-line xl:!px-2.5 xl:font-normal min-[1400px]:w-52"
              aria-label="Search dashboards, metrics and actions"
              title="Search (/ or Ctrl-K)"
              onClick={onSearch}
            >
              <Search size={16} aria-hidden="true" />
              <span className="max-xl:hidden">Search</span>
              <kbd className="ml-auto rounded border border-line px-1.5 font-sans text-xs max-xl:hidden">
                /
              </kbd>
            </Button>
            <ThemeButton />
            <Link
              to="/account"
              aria-label={`Account: ${user.email}`}
              title={user.email}
              className="flex h-9 items-center gap-2 rounded-md px-2.5 text-muted hover:bg-raised hover:text-text max-sm:gap-1 max-sm:px-1.5"
            >
              <UserRound size={17} aria-hidden="true" />
            </Link>
            <Button
              variant="ghost"
              className="w-9 !px-0 max-sm:hidden"
              aria-label="Sign out"
              title="Sign out"
              onClick={() => void signOut()}
            >
              <LogOut size={16} aria-hidden="true" />
            </Button>
          </div>
        </div>
      </header>
      <main
        id="content"
        tabIndex={-1}
        className="mx-auto max-w-[1600px] px-3 py-5 outline-none sm:px-5"
      >
        {children}
      </main>
    </div>
  )
}
