import type { Panel } from '@/api/generated/types.gen'
import type { Table } from '@/charts/chart-data'
import type { Frame } from '@/charts/frames'

/** What a kind of panel draws from. */
export type KindProps = {
  panel: Panel
  table: Table
  frames: Frame[]
  data: { start: number; end: number }
}
