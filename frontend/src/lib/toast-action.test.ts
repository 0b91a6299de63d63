import { expect, test, vi } from 'vitest'
import { toastAction } from './toast-action'

const click = (action: ReturnType<typeof toastAction>) => action.action.onClick({} as never)

test('an action runs once, and not after its toast has gone', () => {
  const run = vi.fn()
  const pressed = toastAction('Undo', run)
  click(pressed)
  click(pressed)
  expect(run).toHaveBeenCalledTimes(1)
  for (const end of ['onAutoClose', 'onDismiss'] as const) {
    const gone = toastAction('Undo', run)
    gone[end]?.({} as never)
    click(gone)
  }
  expect(run).toHaveBeenCalledTimes(1)
})
