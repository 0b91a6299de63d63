import { oneText } from '@/lib/search-params'

/** Which agent is shown, and the id (never the secret) of the key whose first sample is awaited. */
export type AddDataSearch = { agent?: string; key?: string }

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

export function readAddDataSearch(search: Record<string, unknown>): AddDataSearch {
  const key = oneText(search.key)
  return { agent: oneText(search.agent), key: key && UUID.test(key) ? key : undefined }
}
