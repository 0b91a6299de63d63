/** The query string of a URL: plain strings; a repeated key becomes a list. */
export type SearchParams = Record<string, string | string[]>

/** Parses a query string. Values stay strings: none becomes a number, a boolean or JSON. */
export function parseSearch(text: string): SearchParams {
  const found: SearchParams = {}
  for (const [key, value] of new URLSearchParams(text)) {
    const before = found[key]
    found[key] = before === undefined ? value : [before, value].flat()
  }
  return found
}

/** The opposite: a list becomes a repeated key; undefined values are left out. */
export function stringifySearch(search: Record<string, unknown>): string {
  const params = new URLSearchParams()
  for (const [key, value] of Object.entries(search)) {
    for (const each of [value].flat()) {
      if (each !== undefined && each !== null) params.append(key, String(each))
    }
  }
  // These need no escaping in a query string, and people read and type URLs.
  const text = params
    .toString()
    .replace(/%2F/g, '/')
    .replace(/%3A/g, ':')
    .replace(/%2C/g, ',')
    .replace(/%24/g, '$')
  return text && `?${text}`
}

/** The last string of a value that may be repeated. */
export function oneText(value: unknown): string | undefined {
  const last: unknown = Array.isArray(value) ? value.at(-1) : value
  return typeof last === 'string' ? last : undefined
}

/** All strings of a value. */
export function allTexts(value: unknown): string[] {
  return [value].flat().filter((each): each is string => typeof each === 'string')
}
