import type { ApiError } from '@/api/generated/types.gen'

/** An error response of the API. */
export function isApiError(error: unknown): error is ApiError {
  return typeof error === 'object' && error !== null && 'code' in error && 'error' in error
}

/** Whether a request had no response. A fault of ours is a TypeError too, with another text. */
const isNetworkError = (error: unknown) =>
  error instanceof TypeError && /fetch|network|load failed/i.test(error.message)

const isTimeout = (error: unknown) => error instanceof DOMException && error.name === 'TimeoutError'

/** A message for the user. */
export function messageOf(error: unknown): string {
  if (isApiError(error)) return error.error
  if (isNetworkError(error)) return 'Pulseboard is not responding. Check your connection.'
  if (isTimeout(error)) return 'Pulseboard did not respond in time.'
  if (error instanceof Error) return error.message
  return 'Something went wrong.'
}

export const isSignedOut = (error: unknown) => isApiError(error) && error.code === 'UNAUTHORIZED'

/** Codes of errors that pass by themselves: the same request may succeed later. */
const PASSING: readonly ApiError['code'][] = ['UNAVAILABLE', 'INTERNAL_ERROR', 'RATE_LIMITED']

/** Whether a request was refused for what it says, so that it would be refused again. */
export const isRefused = (error: unknown) => isApiError(error) && !PASSING.includes(error.code)
