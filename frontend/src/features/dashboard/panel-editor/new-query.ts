import type { PanelQuery } from '@/api/generated/types.gen'

/** In its own module: parsing a URL needs it, but nothing else of the editor. */
export const NEW_QUERY: PanelQuery = {
  query: '',
  aggregation: 'none',
  step: null,
  tags: {},
  groupBy: null,
  alias: null,
  hidden: false,
}
