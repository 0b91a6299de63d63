/** A metric's name that needs no quotes in a query. */
const PLAIN_NAME = /^[a-zA-Z_:][\w:]*(?:\.[\w:]+)*$/
const PLAIN_KEY = /^[a-zA-Z_][\w.]*$/

/** A text in quotes, as PromQL reads it. */
export const quote = (text: string) => JSON.stringify(text)

/** A tag key as a query writes it. */
export const writeKey = (key: string) => (PLAIN_KEY.test(key) ? key : quote(key))

/** A selector: names with unusual characters are quoted inside the braces. */
export function writeSelector(name: string, conditions = ''): string {
  const inner = conditions.trim()
  if (PLAIN_NAME.test(name)) return inner ? `${name}{${inner}}` : name
  return `{${[quote(name), inner].filter(Boolean).join(', ')}}`
}
