import { QueryClient, QueryClientProvider } from '@tanstack/react-query'
import { RouterProvider } from '@tanstack/react-router'
import { cleanup, configure, fireEvent, render, screen, waitFor } from '@testing-library/react'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { z } from 'zod'
import { client } from '@/api/client'
import type { Dashboard, Panel, UpdateDashboard } from '@/api/generated/types.gen'
import { zPanelOptions, zPanelQuery, zPlacedPanel } from '@/api/generated/zod.gen'
import { newPanel } from '@/features/dashboard/edit-mode/new-panel'
import {
  isSet,
  LEGEND_FIELDS,
  PANEL_FIELDS,
  REPEAT_FIELDS,
  SECTIONS,
  THRESHOLD_FIELDS,
} from '@/features/dashboard/panel-editor/option-fields'

configure({ asyncUtilTimeout: 20_000 })
vi.setConfig({ testTimeout: 60_000 })

vi.mock('@/charts/time-chart', () => ({ TimeChart: () => null }))

type Schema = {
  type?: string | string[]
  anyOf?: Schema[]
  enum?: unknown[]
  const?: unknown
  items?: Schema
  properties?: Record<string, Schema>
  additionalProperties?: Schema | boolean
  minimum?: number
  maximum?: number
}

/** Texts that have a form, by the name of their field. */
const TEXTS: Record<string, string> = {
  url: 'https://wiki.example.com/${__field.labels.host}',
  color: '#12ab9f',
  baseColor: 'green',
  minStep: '30s',
  step: '1m',
  timeFrom: '2h',
  timeShift: '1d',
  ref: 'Q',
  repeat: 'host',
  palette: 'bright',
  query: 'up{job="a"}',
}

/** A value that a schema allows, of a sequence of numbers; null and empty lists are left out. */
function generated(schema: Schema, name: string, next: () => number): unknown {
  if (schema.const !== undefined) return schema.const
  if (schema.enum) return schema.enum[next() % schema.enum.length]
  const { anyOf } = schema
  if (anyOf) {
    const some = anyOf.filter(({ type }) => type !== 'null')
    return generated(some[next() % some.length] ?? {}, name, next)
  }
  switch (Array.isArray(schema.type) ? schema.type.find((type) => type !== 'null') : schema.type) {
    case 'object': {
      const own = Object.entries(schema.properties ?? {})
      if (!own.length) return { [`key${next() % 9}`]: `value ${next()}` }
      return Object.fromEntries(own.map(([key, each]) => [key, generated(each, key, next)]))
    }
    case 'array':
      return Array.from({ length: 1 + (next() % 3) }, () =>
        generated(schema.items ?? {}, name, next),
      ).filter((each, at, all) => typeof each !== 'string' || all.indexOf(each) === at)
    case 'boolean':
      return next() % 2 === 0
    case 'integer':
    case 'number': {
      const low = Math.max(schema.minimum ?? 0, 0)
      const high = Math.min(schema.maximum ?? 90, 90)
      return low + (next() % (high - low + 1))
    }
    default:
      return TEXTS[name] ?? `${name} ${next() % 100}`
  }
}

const json = (schema: z.ZodType) =>
  z.toJSONSchema(schema, { unrepresentable: 'any', io: 'input' }) as Schema

const OPTIONS = json(zPanelOptions)
const QUERY = json(zPanelQuery)

/** A panel of a type in which everything is set. */
function panelOf(type: Panel['type'], seed: number): Panel {
  let state = seed
  const next = () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648
    return state >> 8
  }
  const options = generated(OPTIONS, '', next) as Panel['options']
  Object.assign(options, { min: -5, max: 95 + (next() % 9) })
  const mappings = [
    { low: 1, high: 2, pattern: null, special: null, text: 'one', color: null },
    { low: null, high: null, pattern: 'up*', special: null, text: 'up', color: 'green' },
    { low: null, high: null, pattern: null, special: 'empty', text: null, color: '#112233' },
  ] as Panel['options']['mappings']
  options.mappings = mappings
  options.overrides = options.overrides.map((each, at) => ({
    ...each,
    // One that sets all, and some that set one thing each.
    ...(at === 0 ? { mappings } : Object.fromEntries(Object.keys(each).map((key) => [key, null]))),
    match: 'web-*',
    by: (['name', 'pattern', 'query'] as const)[at % 3] ?? 'name',
    ...(at === 1 ? { stack: '' } : {}),
  }))
  return {
    ...newPanel({ id: 'b' }, []),
    id: `00000000-0000-4000-8000-${String(seed).padStart(12, '0')}`,
    type,
    title: seed % 2 ? '' : `Panel ${seed}`,
    options,
    queries: [0, 1, 2].map(
      (at) =>
        ({ ...(generated(QUERY, '', next) as object), ref: 'QRS'[at] }) as Panel['queries'][number],
    ),
    position: { x: 0, y: 0, w: 4, h: 4 },
  }
}

let board: Dashboard
let saved: UpdateDashboard | undefined

async function respond(request: Request): Promise<Response> {
  const path = new URL(request.url).pathname
  if (path.endsWith('/auth/me')) return Response.json({ data: { id: 'u', role: 'admin' } })
  if (path.endsWith('/query/batch')) return Response.json({ data: [] })
  if (/\/dashboards\/b$/.test(path)) {
    if (request.method !== 'GET') {
      saved = (await request.clone().json()) as UpdateDashboard
      board = { ...board, version: board.version + 1, panels: saved.panels as Panel[] }
    }
    return Response.json({ data: board, meta: null })
  }
  return Response.json({ data: [], meta: { total: 0 } })
}

class Observer {
  observe() {}
  unobserve() {}
  disconnect() {}
}

beforeEach(() => {
  saved = undefined
  client.setConfig({ baseUrl: window.location.origin })
  vi.stubGlobal('matchMedia', () => ({ matches: false, addEventListener: () => {} }))
  vi.stubGlobal('scrollTo', () => {})
  vi.stubGlobal('IntersectionObserver', Observer)
  vi.stubGlobal('ResizeObserver', Observer)
  vi.stubGlobal('fetch', respond)
})
afterEach(() => {
  cleanup()
  vi.unstubAllGlobals()
})

async function open(panel: Panel) {
  board = {
    id: 'b',
    name: 'Board',
    description: '',
    isPublic: false,
    version: 1,
    canEdit: true,
    ownerId: 'u',
    settings: { timeRange: '1h', refresh: null, timezone: 'utc', variables: [], links: [] },
    panels: [panel],
    createdAt: '',
    updatedAt: '',
  } as unknown as Dashboard
  window.history.replaceState(null, '', `/dashboards/b/panels/${panel.id}/edit`)
  const { makeRouter } = await import('./router')
  const cache = new QueryClient({ defaultOptions: { queries: { retry: false } } })
  render(
    <QueryClientProvider client={cache}>
      <RouterProvider router={makeRouter(cache)} />
    </QueryClientProvider>,
  )
  // Not by role: of a form of hundreds of fields that takes seconds here.
  await screen.findByText('Save panel')
}

/** Fields by the start of their label. By the library's queries a form of this size takes seconds. */
const labelled = (name: string) =>
  [...document.querySelectorAll('label')]
    .filter((label) => label.textContent?.startsWith(name))
    .map((label) => label.control)

const save = async () => {
  fireEvent.click(screen.getByText('Save panel'))
  await waitFor(() => expect(saved?.panels).toBeDefined())
  return saved?.panels?.[0] as Panel
}

/** Of each way in which the form differs one. */
const TYPES: Panel['type'][] = ['line', 'stat', 'table', 'heatmap', 'text', 'row', 'unknown']

test.each(TYPES.map((type, at) => [type, at + 1] as const))(
  'an edit of the title of a panel of type %s keeps all else',
  async (type, seed) => {
    const panel = panelOf(type, seed)
    expect(zPlacedPanel.safeParse(panel).error).toBeUndefined()
    await open(structuredClone(panel))
    fireEvent.change(labelled('Title')[0] as HTMLElement, {
      target: { value: 'Renamed' },
    })
    const { title, type: kept, queries, options, position } = await save()
    expect(title).toBe('Renamed')
    expect({ type: kept, queries, options, position }).toEqual({
      type,
      queries: panel.queries,
      options: panel.options,
      position: panel.position,
    })
  },
)

test('an edit of any option keeps all others, and each that is set can be edited', async () => {
  const panel = panelOf('text', 4)
  await open(structuredClone(panel))
  const form = document.querySelectorAll<HTMLElement>(
    'details select, details input, details textarea',
  )
  // The form shows whatever is set, though a text has none of it.
  const fields = [
    ...SECTIONS.flatMap(({ fields }) => fields),
    ...PANEL_FIELDS,
    ...REPEAT_FIELDS,
    ...LEGEND_FIELDS,
    ...THRESHOLD_FIELDS,
  ].filter(({ key }) => isSet(panel.options, key))
  expect(fields.length).toBeGreaterThan(25)
  for (const { label, as } of fields)
    expect(
      as === 'calculations' ? screen.queryAllByText(label).length : labelled(label).length,
      label,
    ).toBeGreaterThan(0)
  for (const label of ['Palette', 'First series', 'Legend', 'Its JSON', 'Step 1', 'Drawn as'])
    expect(labelled(label).length, label).toBeGreaterThan(0)
  expect(form.length).toBeGreaterThan(90)
  fireEvent.change(labelled('Axis label')[0] as HTMLElement, { target: { value: 'Requests' } })
  const { options } = await save()
  expect(options).toEqual({ ...panel.options, axisLabel: 'Requests' })
})
