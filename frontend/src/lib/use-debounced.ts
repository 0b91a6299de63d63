import { useEffect, useState } from 'react'

/** A value that follows another only after that has rested for `delay` milliseconds. */
export function useRested<T>(value: T, delay: number): T {
  const text = JSON.stringify(value)
  const [rested, setRested] = useState({ text, value })
  useEffect(() => {
    const timer = setTimeout(() => setRested({ text, value: JSON.parse(text) as T }), delay)
    return () => clearTimeout(timer)
  }, [text, delay])
  return rested.value
}
