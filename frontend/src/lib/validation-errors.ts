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
