import { useEffect, useRef, useState } from 'react'

/**
 * The text of a field whose value is something else, such as a number or a list. The text stays as
 * it is typed; when the value changes by other means (another row, a reload), it is written anew.
 */
export function useTypedText<T>(
  value: T,
  read: (text: string) => T,
  write: (value: T) => string,
): [string, (text: string) => void] {
  const [text, setText] = useState(() => write(value))
  const current = JSON.stringify(read(text)) === JSON.stringify(value) ? text : write(value)
  if (current !== text) setText(current)
  return [current, setText]
}

/**
 * A value that is typed here and stored elsewhere, such as in the URL, once it has rested for a
 * while: what is stored comes back late, and would throw the caret to the end. A value that comes
 * from elsewhere (Back, a link) replaces what is typed. `stored`: how the value comes back.
 */
export function useTypedValue<T>(
  given: T,
  store: (value: T) => void,
  stored: (value: T) => T = (value) => value,
  rest = 300,
): [T, (value: T) => void] {
  const key = JSON.stringify(given)
  const [typed, setTyped] = useState({ value: given, key })
  /** What was stored, and is yet to come back. */
  const sent = useRef([key])
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined)
  const latest = useRef(store)
  latest.current = store
  if (typed.key !== key) {
    setTyped({ key, value: sent.current.includes(key) ? typed.value : given })
  }
  useEffect(() => {
    const at = sent.current.indexOf(key)
    if (at < 0) clearTimeout(timer.current)
    sent.current = at < 0 ? [key] : sent.current.slice(at)
  }, [key])
  useEffect(() => () => clearTimeout(timer.current), [])
  const type = (value: T) => {
    setTyped({ key, value })
    clearTimeout(timer.current)
    timer.current = setTimeout(() => {
      sent.current = [...sent.current, JSON.stringify(stored(value))]
      latest.current(value)
    }, rest)
  }
  return [typed.value, type]
}
