import { createContext, useContext } from 'react'

/** The time zone in which times are displayed and parsed. */
export type Zone = 'browser' | 'utc'

export const ZoneContext = createContext<Zone>('browser')
export const useZone = () => useContext(ZoneContext)

/** The IANA name of a zone, for the server: days of a chart are days of it. */
export const zoneName = (zone: Zone) =>
  zone === 'utc' ? 'UTC' : Intl.DateTimeFormat().resolvedOptions().timeZone

/** For `Intl.DateTimeFormat`: undefined is the browser's time zone. */
export const timeZoneOf = (zone: Zone) => (zone === 'utc' ? 'UTC' : undefined)
