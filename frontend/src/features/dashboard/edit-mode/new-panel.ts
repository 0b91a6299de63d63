import type { Dashboard, Panel } from '@/api/generated/types.gen'
import { DEFAULT_OPTIONS, DEFAULT_QUERY } from '@/lib/panel-defaults'
import { freePosition } from './layout'

/** A panel that is not on the dashboard yet. */
export function newPanel(board: Pick<Dashboard, 'id'>, panels: Panel[]): Panel {
  const now = new Date().toISOString()
  return {
    id: crypto.randomUUID(),
    dashboardId: board.id,
    title: 'New panel',
    type: 'line',
    queries: [DEFAULT_QUERY],
    options: DEFAULT_OPTIONS,
    position: freePosition(panels, 6, 6),
    createdAt: now,
    updatedAt: now,
  }
}
