import type { PanelQuery } from '@/api/generated/types.gen'

/** On its own: what reads addresses needs it, and nothing of the editor. */
export const NEW_QUERY: PanelQuery = {
  query: '',
  aggregation: 'avg',
  step: null,
  tags: {},
  groupBy: null,
  alias: null,
  hidden: false,
}
