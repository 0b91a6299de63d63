import type { Panel } from '@/api/generated/types.gen'

const KINDS: Panel['type'][] = [
  'barGauge',
  'pie',
  'heatmap',
  'histogram',
  'stateTimeline',
  'statusHistory',
  'barChart',
  'xy',
]

/** Whether a table has columns for labels, and not one row for each series. */
export const inTable = ({ type, queries, options }: Panel): boolean =>
  type === 'table' &&
  (options.transformations.length > 0 ||
    queries.some(({ format, instant }) => format === 'table' || instant))

/** Whether a panel is drawn by what is loaded on demand: kinds of their own, and transformations. */
export const needsFrames = (panel: Panel): boolean =>
  KINDS.includes(panel.type) || panel.options.transformations.length > 0 || inTable(panel)
