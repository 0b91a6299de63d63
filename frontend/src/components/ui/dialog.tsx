import { X } from 'lucide-react'
import { type ReactNode, useEffect, useRef } from 'react'
import { ErrorBoundary } from '../error-boundary'

/** What to focus after a dialog: of a menu, which is gone by then, its button. */
function openerOf(active: Element | null): HTMLElement | null {
  const button = active?.closest('[role="menu"]')?.getAttribute('aria-labelledby')
  const found = button ? document.getElementById(button) : active
  return found instanceof HTMLElement && found !== document.body ? found : null
}

/** The browser's own modal dialog: it traps focus, closes on Escape and is announced by screen readers. */
export function Dialog({
  title,
  wide,
  onClose,
  children,
}: {
  title: string
  wide?: boolean
  onClose: () => void
  children: ReactNode
}) {
  const dialog = useRef<HTMLDialogElement>(null)
  useEffect(() => {
    const opener = openerOf(document.activeElement)
    dialog.current?.showModal()
    return () => {
      // After the element is gone: a modal dialog makes all else inert.
      setTimeout(() => {
        const lost = document.activeElement === null || document.activeElement === document.body
        if (lost && opener?.isConnected) opener.focus()
      })
    }
  }, [])
  return (
    <dialog
      ref={dialog}
      onClose={onClose}
      aria-label={title}
      className={`m-auto ${wide ? 'w-[min(46rem,calc(100vw-1.5rem))]' : 'w-[min(30rem,calc(100vw-2rem))]'} rounded-xl border border-line bg-surface p-5 text-text shadow-xl backdrop:bg-black/50`}
    >
      <div className="mb-3 flex items-start gap-3">
        <h2 className="mr-auto text-lg font-semibold">{title}</h2>
        <button
          type="button"
          aria-label="Close"
          className="-mt-1 -mr-1 grid size-8 shrink-0 place-items-center rounded-md text-muted hover:bg-raised hover:text-text"
          onClick={() => dialog.current?.close()}
        >
          <X size={17} aria-hidden="true" />
        </button>
      </div>
      <ErrorBoundary>{children}</ErrorBoundary>
    </dialog>
  )
}
