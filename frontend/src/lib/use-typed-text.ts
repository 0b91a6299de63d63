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
 * Calls `run` before the page may be left: whatever is not typing comes first, be it a click, the
 * focus going elsewhere, a shortcut (Ctrl R, Alt ←, F5), or the page going away.
 */
function beforeLeaving(run: () => void): () => void {
  const onKey = ({ key, altKey, ctrlKey, metaKey }: KeyboardEvent) => {
    if (altKey || ctrlKey || metaKey || /^(F\d+|Enter|Escape)$/.test(key)) run()
  }
  document.addEventListener('pointerdown', run, true)
  document.addEventListener('focusout', run, true)
  document.addEventListener('keydown', onKey, true)
  window.addEventListener('pagehide', run)
  return () => {
    document.removeEventListener('pointerdown', run, true)
    document.removeEventListener('focusout', run, true)
    document.removeEventListener('keydown', onKey, true)
    window.removeEventListener('pagehide', run)
  }
}

/**
 * A value that is typed here and stored elsewhere, such as in the URL, once it has rested for a
 * while or the page may be left: what is stored comes back late, and would throw the caret to the
 * end. A value that comes from elsewhere (Back, a link) replaces what is typed. `stored`: how the
 * value comes back.
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
  /** What waits to be stored. */
  const waiting = useRef<{ drop: () => void }>(undefined)
  const latest = useRef(store)
  latest.current = store
  if (typed.key !== key) {
    setTyped({ key, value: sent.current.includes(key) ? typed.value : given })
  }
  useEffect(() => {
    const at = sent.current.indexOf(key)
    if (at < 0) waiting.current?.drop()
    sent.current = at < 0 ? [key] : sent.current.slice(at)
  }, [key])
  useEffect(() => () => waiting.current?.drop(), [])
  const type = (value: T) => {
    setTyped({ key, value })
    waiting.current?.drop()
    const drop = () => {
      clearTimeout(timer)
      stay()
      waiting.current = undefined
    }
    const write = () => {
      drop()
      sent.current = [...sent.current, JSON.stringify(stored(value))]
      latest.current(value)
    }
    const timer = setTimeout(write, rest)
    const stay = beforeLeaving(write)
    waiting.current = { drop }
  }
  return [typed.value, type]
}
