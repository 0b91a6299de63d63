import { vi } from 'vitest'
import type { Dashboard, Panel, PanelOptions, UpdateDashboard } from '@/api/generated/types.gen'
import { createDraft } from './draft'
import { createSaver } from './saver'

const options = { unit: null } as PanelOptions

export function panel(id: string, x: number, y: number, w = 6, h = 4): Panel {
  return {
    id,
    dashboardId: 'board',
    title: id,
    type: 'line',
    queries: [],
    options,
    position: { x, y, w, h },
    createdAt: '',
    updatedAt: '',
  }
}

export const board = (version: number, panels: Panel[]) =>
  ({ id: 'board', version, panels }) as Dashboard

/** A draft of the panels a and b at version 1, with a saver whose requests are `put`. */
export function saver(
  put: (body: UpdateDashboard) => Promise<Dashboard>,
  latest: Dashboard | (() => Promise<Dashboard>) = board(7, [panel('a', 0, 0), panel('b', 6, 0)]),
  conditions: { online?: () => boolean; signedIn?: () => boolean } = {},
) {
  const store = createDraft(board(1, [panel('a', 0, 0), panel('b', 6, 0)]))
  const onRefused = vi.fn()
  const calls = vi.fn(put)
  const created = createSaver(store, {
    put: calls,
    latest: typeof latest === 'function' ? latest : async () => latest,
    onSaved: () => {},
    onRefused,
    ...conditions,
  })
  return { store, created, calls, onRefused }
}
