import { oneText } from '@/lib/search-params'
import type { Zone } from '@/lib/zone'

/** The state of a board in its URL. A variable `host` is the parameter `var-host`. */
export type BoardSearch = {
  from?: string
  to?: string
  /** `10s`, `5m`, `off`; default: the dashboard's setting. */
  refresh?: string
  tz?: Zone
  kiosk?: '1'
  /** The panel that fills the page. */
  panel?: string
  /** The tab that is open, where the board has tabs. */
  tab?: string
  /** Whether its panels can be moved and changed. */
  edit?: '1'
  [variable: `var-${string}`]: string | string[] | undefined
}

export const variableKey = (name: string): `var-${string}` => `var-${name}`

/** Reads a board's state from the URL; invalid values are ignored. */
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
    tab: oneText(search.tab),
    edit: search.edit === undefined ? undefined : '1',
  }
}
