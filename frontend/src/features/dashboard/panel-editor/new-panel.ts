import type { Dashboard, Panel, PanelOptions } from '@/api/generated/types.gen'
import { freePosition } from '../edit-mode/layout'
import { NEW_QUERY } from './new-query'

const OPTIONS: PanelOptions = {
  unit: null,
  decimals: null,
  color: null,
  palette: null,
  showLegend: true,
  legend: 'list',
  thresholds: [],
  thresholdStyle: 'line',
  mappings: [],
  calculation: 'last',
  min: null,
  minStep: null,
  max: null,
  stacked: false,
  nulls: 'gap',
  scale: 'linear',
  sparkline: true,
  overrides: [],
  links: [],
  description: null,
  repeat: null,
}

/** A panel that is not on the dashboard yet. */
export function newPanel(board: Pick<Dashboard, 'id'>, panels: Panel[]): Panel {
  const now = new Date().toISOString()
  return {
    id: crypto.randomUUID(),
    dashboardId: board.id,
    title: 'New panel',
    type: 'line',
    queries: [NEW_QUERY],
    options: OPTIONS,
    position: freePosition(panels, 6, 6),
    createdAt: now,
    updatedAt: now,
  }
}
