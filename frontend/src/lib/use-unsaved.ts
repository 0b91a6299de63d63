import { useBlocker } from '@tanstack/react-router'
import { useEffect, useRef, useState } from 'react'
import { holdWork, isLetGo } from './unsaved-work'

/**
 * Asks before a page with unsaved input is left, by a link, Back, signing
 * out or closing the tab. The function
 * that it returns lets the page go: what was typed is saved, or thrown away on purpose.
 */
export function useUnsaved(unsaved: boolean, question: string): () => void {
  const leaving = useRef(false)
  useBlocker({
    shouldBlockFn: () => unsaved && !leaving.current && !window.confirm(question),
    enableBeforeUnload: () => unsaved && !leaving.current && !isLetGo(),
  })
  useEffect(
    () => (unsaved ? holdWork({ question: () => question }) : undefined),
    [unsaved, question],
  )
  return () => {
    leaving.current = true
  }
}

/** Whether the values of a form are other than when it was opened: then closing it would lose them. */
export function useChanged(values: unknown): boolean {
  const now = JSON.stringify(values)
  const [first] = useState(now)
  return now !== first
}
