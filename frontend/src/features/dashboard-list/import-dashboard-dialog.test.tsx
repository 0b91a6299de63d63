import { QueryClient, QueryClientProvider } from '@tanstack/react-query'
import {
  createMemoryHistory,
  createRootRoute,
  createRouter,
  RouterProvider,
} from '@tanstack/react-router'
import { cleanup, configure, fireEvent, render, screen } from '@testing-library/react'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { client } from '@/api/client'
import { ImportDashboardDialog } from './import-dashboard-dialog'

configure({ asyncUtilTimeout: 20_000 })
vi.setConfig({ testTimeout: 120_000 })

const sent: unknown[] = []
const REPORT = [
  { outcome: 'dropped', place: 'panel Load', message: 'its alert', reason: 'its alert' },
  { outcome: 'changed', place: 'panel Load', message: 'the unit "x"', reason: 'the unit …' },
  { outcome: 'changed', place: 'panel Disk', message: 'the unit "y"', reason: 'the unit …' },
]

beforeEach(() => {
  sent.length = 0
  // jsdom has no modal dialogs.
  HTMLDialogElement.prototype.showModal = function showModal() {
    this.open = true
  }
  client.setConfig({ baseUrl: window.location.origin })
  vi.stubGlobal('fetch', async (request: Request) => {
    const { document } = (await request.clone().json()) as { document: { title: string } }
    sent.push(document.title)
    if (document.title === 'Bad')
      return Response.json(
        { error: 'No panels are in it.', code: 'VALIDATION_ERROR', details: null, requestId: null },
        { status: 422 },
      )
    const dashboard = { id: document.title, name: document.title, panels: [{}, {}] }
    return Response.json({ data: { dashboard, report: REPORT } }, { status: 201 })
  })
})
afterEach(() => {
  cleanup()
  vi.unstubAllGlobals()
})

const file = (name: string, text: string) => new File([text], name, { type: 'application/json' })

async function choose(...files: File[]) {
  const root = createRootRoute({ component: () => <ImportDashboardDialog onClose={() => {}} /> })
  const router = createRouter({ routeTree: root, history: createMemoryHistory() })
  render(
    <QueryClientProvider client={new QueryClient()}>
      <RouterProvider router={router as never} />
    </QueryClientProvider>,
  )
  fireEvent.change(await screen.findByLabelText('Files'), { target: { files } })
}

test('of several files each is imported, or says why it is not', async () => {
  await choose(
    file('a.json', '{"title": "A"}'),
    file('broken.json', '{"title": '),
    file('bad.json', '{"title": "Bad"}'),
    file('b.json', '{"title": "B"}'),
  )
  await screen.findByText('broken.json')
  fireEvent.click(screen.getByText('Import'))
  await screen.findByText('Imported: 2 of 4 files')
  expect(sent).toEqual(['A', 'Bad', 'B'])
  screen.getByRole('link', { name: 'A' })
  screen.getByRole('link', { name: 'B' })
  const [broken, bad] = screen.getAllByRole('alert')
  expect(broken?.textContent).toMatch(/^This is not a dashboard: .+/)
  expect(bad?.textContent).toBe('No panels are in it.')
})

test('one file that is refused stays to be mended, and its report is by reason or by panel', async () => {
  await choose(file('bad.json', '{"title": "Bad"}'))
  const text = await screen.findByDisplayValue('{"title": "Bad"}')
  fireEvent.click(screen.getByText('Import'))
  await screen.findByText('No panels are in it.')
  fireEvent.change(text, { target: { value: '{"title": "Good"}' } })
  fireEvent.click(screen.getByText('Import'))
  await screen.findByText('Imported: Good')
  screen.getByText('the unit … (2)')
  fireEvent.change(screen.getByLabelText('Group by'), { target: { value: 'place' } })
  screen.getAllByText('panel Load (1)')
  screen.getByText('panel Disk (1)')
})
