import type { ApiError } from '@/api/generated/types.gen'

/** An error response of the API. */
export function isApiError(error: unknown): error is ApiError {
  return typeof error === 'object' && error !== null && 'code' in error && 'error' in error
}

/** A message for the user. */
export function messageOf(error: unknown): string {
  if (isApiError(error)) return error.error
  if (error instanceof TypeError) return 'Pulseboard is not responding. Check your connection.'
  if (error instanceof Error) return error.message
  return 'Something went wrong.'
}

export const isSignedOut = (error: unknown) => isApiError(error) && error.code === 'UNAUTHORIZED'
