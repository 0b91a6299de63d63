import { createContext, useContext } from 'react'

/** The zone in which times are read and written. */
export type Zone = 'browser' | 'utc'

export const ZoneContext = createContext<Zone>('browser')
export const useZone = () => useContext(ZoneContext)

/** As `Intl.DateTimeFormat` wants it: undefined is the browser's own. */
export const timeZoneOf = (zone: Zone) => (zone === 'utc' ? 'UTC' : undefined)
