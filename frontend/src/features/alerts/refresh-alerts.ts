import type { QueryClient } from '@tanstack/react-query'

/**
 * Reads again what shows rules of both kinds, their states, their history, silences and channels, after a change
 * of one of them. The data of panels and the dashboards do not depend on them.
 */
export const refreshAlerts = (cache: QueryClient) =>
  cache.invalidateQueries({
    predicate: ({ queryKey: [first] }) =>
      typeof first === 'object' &&
      first !== null &&
      '_id' in first &&
      /^(getAlert|listRecording)/.test(String(first._id)),
  })
