import { QueryClient, QueryClientProvider } from '@tanstack/react-query'
import { RouterProvider } from '@tanstack/react-router'
import { act, cleanup, configure, fireEvent, render, screen } from '@testing-library/react'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { client } from '@/api/client'
import type { BatchQuery, Dashboard, Panel } from '@/api/generated/types.gen'
import { newPanel } from '@/features/dashboard/edit-mode/new-panel'

configure({ asyncUtilTimeout: 20_000 })
vi.setConfig({ testTimeout: 120_000 })

/** How often each chart, and each header of a panel, was rendered. */
const rendered = vi.hoisted(() => ({ charts: {}, headers: {} }) as Record<string, Counts>)
type Counts = Record<string, number>
const broken = vi.hoisted(() => ({ title: '' }))

vi.mock('@/charts/time-chart', () => ({
  TimeChart: ({ title, times }: { title: string; times: number[] }) => {
    if (title === broken.title) throw new Error('no such axis')
    rendered.charts = { ...rendered.charts, [title]: (rendered.charts?.[title] ?? 0) + 1 }
    return <p>{`${title} drawn at ${times.at(-1)}`}</p>
  },
}))
vi.mock('@/features/dashboard/panel/panel-header', () => ({
  PanelHeader: ({ panel, stale }: { panel: Panel; stale: boolean }) => {
    const { title } = panel
    rendered.headers = { ...rendered.headers, [title]: (rendered.headers?.[title] ?? 0) + 1 }
    return <h2>{stale ? `${title} (stale)` : title}</h2>
  },
}))

const panel = (title: string, x: number): Panel => ({
  ...newPanel({ id: 'b' }, []),
  id: `00000000-0000-4000-8000-00000000000${x}`,
  title,
  queries: [{ ...newPanel({ id: 'b' }, []).queries[0], query: `metric_${title}` } as never],
  position: { x, y: 0, w: 4, h: 4 },
})
const board = {
  id: 'b',
  name: 'Board',
  description: '',
  isPublic: false,
  version: 1,
  canEdit: true,
  ownerId: 'u',
  settings: { timeRange: '1h', refresh: null, timezone: 'utc', variables: [] },
  panels: [panel('A', 0), panel('B', 4), panel('C', 8)],
  createdAt: '',
  updatedAt: '',
} as unknown as Dashboard

let latest = 1000
let ruleEvaluated = ''
const results = (queries: BatchQuery[]) =>
  queries.map(({ id, query }) => ({
    id,
    error: null,
    result: {
      data: {
        timestamps: [latest],
        series: [{ name: query, tags: {}, values: [1] }],
      },
      meta: { table: 'raw', resolution: '10s', notes: [] },
    },
  }))

/** Holds requests for data until it is called. */
let release: (() => void) | undefined

async function respond(request: Request): Promise<Response> {
  const path = new URL(request.url).pathname
  if (path.endsWith('/query/batch')) {
    const { queries } = (await request.clone().json()) as { queries: BatchQuery[] }
    if (release) await new Promise<void>((go) => (release = go))
    return Response.json({ data: results(queries) })
  }
  if (path.endsWith('/auth/me')) return Response.json({ data: { id: 'u', role: 'admin' } })
  if (/\/dashboards\/b$/.test(path)) return Response.json({ data: board, meta: null })
  if (path.endsWith('/alerts/rules')) {
    const rule = { id: 'r', query: 'metric_A > 1', lastEvaluatedAt: ruleEvaluated }
    return Response.json({ data: [rule], meta: { total: 1 } })
  }
  return Response.json({ data: [], meta: { total: 0 } })
}

class Observer {
  observe() {}
  unobserve() {}
  disconnect() {}
}

beforeEach(() => {
  rendered.charts = {}
  rendered.headers = {}
  broken.title = ''
  release = undefined
  latest = 1000
  client.setConfig({ baseUrl: window.location.origin })
  vi.spyOn(console, 'error').mockImplementation(() => {})
  vi.stubGlobal('matchMedia', () => ({ matches: false, addEventListener: () => {} }))
  vi.stubGlobal('scrollTo', () => {})
  vi.stubGlobal('IntersectionObserver', Observer)
  vi.stubGlobal('ResizeObserver', Observer)
  vi.stubGlobal('fetch', respond)
})
afterEach(() => {
  cleanup()
  vi.unstubAllGlobals()
  vi.restoreAllMocks()
})

async function open(path: string) {
  window.history.replaceState(null, '', path)
  const { makeRouter } = await import('./router')
  const cache = new QueryClient({ defaultOptions: { queries: { retry: false } } })
  render(
    <QueryClientProvider client={cache}>
      <RouterProvider router={makeRouter(cache)} />
    </QueryClientProvider>,
  )
  for (const title of 'ABC')
    if (title !== broken.title) await screen.findByText(`${title} drawn at 1000`)
  // The marks of alerts come later than the first data.
  await rest()
  return cache
}

const rest = () => act(async () => void (await new Promise((done) => setTimeout(done, 200))))

const press = (name: string | RegExp) => fireEvent.click(screen.getByRole('button', { name }))

test('a refresh draws each panel once, and its start draws none', async () => {
  await open('/dashboards/b?refresh=off')
  const { charts, headers } = { ...rendered }
  release = () => {}
  latest = 2000
  press('Refresh now')
  await rest()
  expect(rendered).toEqual({ charts, headers })
  release()
  for (const title of 'ABC') await screen.findByText(`${title} drawn at 2000`)
  await rest()
  for (const title of 'ABC') {
    expect((rendered.charts?.[title] ?? 0) - (charts?.[title] ?? 0)).toBe(1)
    // Once with the page, which has new data, and once when the panel takes them in its turn.
    expect((rendered.headers?.[title] ?? 0) - (headers?.[title] ?? 0)).toBeLessThanOrEqual(2)
  }
})

test('what does not change a panel does not draw it', async () => {
  const cache = await open('/dashboards/b?refresh=off')
  const { charts } = { ...rendered }
  press(/^Time range/)
  await screen.findByRole('button', { name: 'Apply' })
  // The poll of the dashboard, and of alert rules that were evaluated meanwhile.
  ruleEvaluated = '2026-01-01T00:00:10Z'
  await act(() => cache.refetchQueries({ predicate: ({ queryKey }) => queryKey[0] !== 'board' }))
  await rest()
  expect(rendered.charts).toEqual(charts)
})

test('another range keeps what is drawn, marked, until its data are here', async () => {
  await open('/dashboards/b?refresh=off')
  release = () => {}
  latest = 3000
  press('Shift range back')
  await screen.findByRole('heading', { name: 'A (stale)' })
  for (const title of 'ABC') screen.getByText(`${title} drawn at 1000`)
  release()
  for (const title of 'ABC') await screen.findByText(`${title} drawn at 3000`)
  expect(screen.queryByRole('heading', { name: 'A (stale)' })).toBeNull()
})

test('a panel that can not be drawn leaves the others', async () => {
  broken.title = 'B'
  await open('/dashboards/b?refresh=off')
  await screen.findByText(/no such axis/)
  screen.getByText('A drawn at 1000')
  screen.getByText('C drawn at 1000')
  screen.getByRole('heading', { name: 'Board' })
})

test('a chart of Explore that can not be drawn leaves what is typed', async () => {
  broken.title = 'Chart'
  window.history.replaceState(null, '', '/explore?q=metric_A&refresh=off')
  const { makeRouter } = await import('./router')
  const cache = new QueryClient({ defaultOptions: { queries: { retry: false } } })
  render(
    <QueryClientProvider client={cache}>
      <RouterProvider router={makeRouter(cache)} />
    </QueryClientProvider>,
  )
  await screen.findByText(/no such axis/)
  screen.getByRole('heading', { name: 'Explore' })
  expect(screen.getByRole<HTMLInputElement>('combobox', { name: 'Query A' }).value).toBe('metric_A')
  await screen.findByRole('region', { name: 'Values: values' })
})
