import type { z } from 'zod'
import { isApiError } from './errors'

/** The errors that a schema found, by field path: `options.thresholds.0.value`. */
export function errorsByField(error: z.ZodError): Record<string, string> {
  return Object.fromEntries(
    error.issues.map((issue) => [issue.path.join('.'), issue.message]).reverse(),
  )
}

/** The errors that the server found, by field path. */
export const serverErrorsByField = (error: unknown): Record<string, string> =>
  Object.fromEntries(
    (isApiError(error) ? (error.details ?? []) : []).map(({ field, message }) => [field, message]),
  )

/** A field's path as a person reads it: `options.links.0.url` is `Links 1, url`. */
export function readableField(path: string): string {
  const words = path
    .replace(/^options\./, '')
    .replace(/\.(\d+)/g, (_, index: string) => ` ${Number(index) + 1}`)
    .replace(/\./g, ', ')
    .replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)
  return words.charAt(0).toUpperCase() + words.slice(1)
}
