import { createContext, useContext } from 'react'

/** The time zone in which times are displayed and parsed. */
export type Zone = 'browser' | 'utc'

export const ZoneContext = createContext<Zone>('browser')
export const useZone = () => useContext(ZoneContext)

/** For `Intl.DateTimeFormat`: undefined is the browser's time zone. */
export const timeZoneOf = (zone: Zone) => (zone === 'utc' ? 'UTC' : undefined)
