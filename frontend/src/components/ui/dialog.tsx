import { X } from 'lucide-react'
import { type KeyboardEvent, type ReactNode, useEffect, useRef, useState } from 'react'
import { useUnsaved } from '@/lib/use-unsaved'
import { ErrorBoundary } from '../error-boundary'
import { Button } from './controls'

/** What to focus after a dialog: of a menu, which is gone by then, its button. */
function openerOf(active: Element | null): HTMLElement | null {
  const button = active?.closest('[role="menu"]')?.getAttribute('aria-labelledby')
  const found = button ? document.getElementById(button) : active
  return found instanceof HTMLElement && found !== document.body ? found : null
}

const SURFACE =
  'm-auto rounded-xl border border-line bg-surface p-5 text-text shadow-xl backdrop:bg-black/50'

/**
 * The browser's own modal dialog: it traps focus, closes on Escape and is announced by screen
 * readers. With `unsaved` input it asks before Escape, its cross, a link or Back throw that away;
 * its own Cancel button calls `onClose` and is not asked about.
 */
export function Dialog({
  title,
  wide,
  unsaved = false,
  question = 'Discard what you have entered?',
  onClose,
  children,
}: {
  title: string
  wide?: boolean
  unsaved?: boolean
  question?: string
  onClose: () => void
  children: ReactNode
}) {
  const dialog = useRef<HTMLDialogElement>(null)
  const [asking, setAsking] = useState(false)
  useUnsaved(unsaved, question)
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
  const close = () => (unsaved ? setAsking(true) : onClose())
  return (
    <dialog
      ref={dialog}
      onKeyDown={(event) => onEscape(event, close)}
      onCancel={(event) => {
        // Not the one of a file input inside, which bubbles.
        if (event.target !== event.currentTarget) return
        event.preventDefault()
        close()
      }}
      onClose={(event) => {
        if (event.target !== event.currentTarget) return
        // Browsers let nobody refuse the second of two requests to close: it is shown again.
        if (unsaved) event.currentTarget.showModal()
        close()
      }}
      aria-label={title}
      className={`${SURFACE} ${wide ? 'w-[min(46rem,calc(100vw-1.5rem))]' : 'w-[min(30rem,calc(100vw-2rem))]'}`}
    >
      <div className="mb-3 flex items-start gap-3">
        <h2 className="mr-auto text-lg font-semibold">{title}</h2>
        <button
          type="button"
          aria-label="Close"
          className="-mt-1 -mr-1 grid size-8 shrink-0 place-items-center rounded-md text-muted hover:bg-raised hover:text-text"
          onClick={close}
        >
          <X size={17} aria-hidden="true" />
        </button>
      </div>
      <ErrorBoundary>{children}</ErrorBoundary>
      {asking && <Question text={question} onStay={() => setAsking(false)} onDiscard={onClose} />}
    </dialog>
  )
}

/** Escape inside a dialog, before the browser closes it; of what is open in it, that comes first. */
function onEscape(event: KeyboardEvent, close: () => void) {
  if (event.key !== 'Escape' || event.defaultPrevented) return
  event.preventDefault()
  event.stopPropagation()
  close()
}

function Question({
  text,
  onStay,
  onDiscard,
}: {
  text: string
  onStay: () => void
  onDiscard: () => void
}) {
  const dialog = useRef<HTMLDialogElement>(null)
  useEffect(() => dialog.current?.showModal(), [])
  return (
    <dialog
      ref={dialog}
      role="alertdialog"
      aria-label={text}
      onKeyDown={(event) => onEscape(event, onStay)}
      onClose={(event) => {
        event.stopPropagation()
        onStay()
      }}
      className={`${SURFACE} w-[min(24rem,calc(100vw-2rem))]`}
    >
      <p className="mb-4 font-medium">{text}</p>
      <div className="flex justify-end gap-2">
        <Button variant="danger" onClick={onDiscard}>
          Discard
        </Button>
        <Button variant="primary" onClick={onStay}>
          Keep editing
        </Button>
      </div>
    </dialog>
  )
}
