import type { Action, ExternalToast } from 'sonner'

/**
 * The action of a toast, which is let go of once the toast is gone: the library keeps the last
 * hundred toasts, and an action refers to the page that it was made on, with all its data.
 */
export function toastAction(
  label: string,
  run: () => void,
): Pick<ExternalToast, 'onAutoClose' | 'onDismiss'> & { action: Action } {
  let held: (() => void) | undefined = run
  const drop = () => {
    held = undefined
  }
  const onClick = () => {
    held?.()
    drop()
  }
  return { action: { label, onClick }, onAutoClose: drop, onDismiss: drop }
}
