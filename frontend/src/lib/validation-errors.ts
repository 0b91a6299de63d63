import type { z } from 'zod'
import { isApiError } from './errors'

/** What a schema found wrong, by the path of the field: `options.thresholds.0.value`. */
export function errorsByField(error: z.ZodError): Record<string, string> {
  return Object.fromEntries(
    error.issues.map((issue) => [issue.path.join('.'), issue.message]).reverse(),
  )
}

/** What the server found wrong, by the path of the field. */
export const serverErrorsByField = (error: unknown): Record<string, string> =>
  Object.fromEntries(
    (isApiError(error) ? (error.details ?? []) : []).map(({ field, message }) => [field, message]),
  )
