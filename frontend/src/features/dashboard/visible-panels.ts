import { createContext, useCallback, useEffect, useRef, useState } from 'react'

/** Pixels above and below the window within which a panel counts as visible. */
const MARGIN = 600

type Observe = (element: Element) => () => void

/** Observes a panel's element. Outside of a board it does nothing. */
export const ObservePanelContext = createContext<Observe>(() => () => {})

const idOf = (element: Element) => element.getAttribute('data-panel') ?? ''

/** The ids of the panels that are on the screen or about to be. */
export function useVisiblePanels(): { visible: ReadonlySet<string>; observe: Observe } {
  const [visible, setVisible] = useState<ReadonlySet<string>>(new Set())
  const observer = useRef<IntersectionObserver>(undefined)
  useEffect(() => () => observer.current?.disconnect(), [])
  const observe = useCallback((element: Element) => {
    observer.current ??= new IntersectionObserver(
      (entries) =>
        setVisible((before) => {
          const next = new Set(before)
          for (const { target, isIntersecting } of entries) {
            if (isIntersecting) next.add(idOf(target))
            else next.delete(idOf(target))
          }
          return next
        }),
      { rootMargin: `${MARGIN}px 0px` },
    )
    observer.current.observe(element)
    return () => {
      observer.current?.unobserve(element)
      const gone = idOf(element)
      setVisible((before) => new Set([...before].filter((id) => id !== gone)))
    }
  }, [])
  return { visible, observe }
}
