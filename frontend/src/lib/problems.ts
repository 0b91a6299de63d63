import type { z } from 'zod'

/** What a schema found wrong, by the path of the field: `options.thresholds.0.value`. */
export function problemsOf(error: z.ZodError): Record<string, string> {
  return Object.fromEntries(
    error.issues.map((issue) => [issue.path.join('.'), issue.message]).reverse(),
  )
}
