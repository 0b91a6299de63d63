import { useEffect, useState } from 'react'

/** The value once it has not changed for `delay` milliseconds. */
export function useDebounced<T>(value: T, delay: number): T {
  const text = JSON.stringify(value)
  const [debounced, setDebounced] = useState({ text, value })
  useEffect(() => {
    const timer = setTimeout(() => setDebounced({ text, value: JSON.parse(text) as T }), delay)
    return () => clearTimeout(timer)
  }, [text, delay])
  return debounced.value
}
