/** What stands behind the `?` of an address: plain texts; a key given several times is a list. */
export type SearchParams = Record<string, string | string[]>

/** Reads the address as it is written: no value is taken for a number, a truth or JSON. */
export function parseSearch(text: string): SearchParams {
  const found: SearchParams = {}
  for (const [key, value] of new URLSearchParams(text)) {
    const before = found[key]
    found[key] = before === undefined ? value : [before, value].flat()
  }
  return found
}

/** The opposite: a list becomes a key given several times; what is undefined is left out. */
export function stringifySearch(search: Record<string, unknown>): string {
  const params = new URLSearchParams()
  for (const [key, value] of Object.entries(search)) {
    for (const each of [value].flat()) {
      if (each !== undefined && each !== null) params.append(key, String(each))
    }
  }
  // These need no escape behind the ?, and addresses are read and typed by people.
  const text = params
    .toString()
    .replace(/%2F/g, '/')
    .replace(/%3A/g, ':')
    .replace(/%2C/g, ',')
    .replace(/%24/g, '$')
  return text && `?${text}`
}

/** One text of a value that may have been given several times: the last one. */
export function oneText(value: unknown): string | undefined {
  const last: unknown = Array.isArray(value) ? value.at(-1) : value
  return typeof last === 'string' ? last : undefined
}

/** All texts of a value. */
export function allTexts(value: unknown): string[] {
  return [value].flat().filter((each): each is string => typeof each === 'string')
}
