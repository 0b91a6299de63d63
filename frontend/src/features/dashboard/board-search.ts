import { oneText } from '@/lib/search-params'
import type { Zone } from '@/lib/zone'

/** What of a board lives in its address. A variable `host` is there as `var-host`. */
export type BoardSearch = {
  from?: string
  to?: string
  /** `10s`, `5m`, `off`; left out: as the board says. */
  refresh?: string
  tz?: Zone
  kiosk?: '1'
  /** The panel that fills the page. */
  panel?: string
  /** Whether its panels can be moved and changed. */
  edit?: '1'
  [variable: `var-${string}`]: string | string[] | undefined
}

export const variableKey = (name: string): `var-${string}` => `var-${name}`

/** Reads a board's part of the address; what makes no sense is left out. */
export function readBoardSearch(search: Record<string, unknown>): BoardSearch {
  const tz = oneText(search.tz)
  return {
    ...search,
    from: oneText(search.from),
    to: oneText(search.to),
    refresh: oneText(search.refresh),
    tz: tz === 'utc' || tz === 'browser' ? tz : undefined,
    kiosk: search.kiosk === undefined ? undefined : '1',
    panel: oneText(search.panel),
    edit: search.edit === undefined ? undefined : '1',
  }
}
