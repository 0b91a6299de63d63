import { ArrowDown, ArrowLeft, ArrowRight, ArrowUp, Check, X } from 'lucide-react'
import { type KeyboardEvent, useEffect, useRef } from 'react'
import type { Panel } from '@/api/generated/types.gen'
import type { Step } from './layout'

export type MoveMode = 'move' | 'resize'

const KEYS: Record<string, Step> = {
  ArrowLeft: { x: -1 },
  ArrowRight: { x: 1 },
  ArrowUp: { y: -1 },
  ArrowDown: { y: 1 },
}
const BUTTONS: Record<MoveMode, [keyof typeof KEYS, typeof ArrowUp, string][]> = {
  move: [
    ['ArrowLeft', ArrowLeft, 'Move left'],
    ['ArrowUp', ArrowUp, 'Move up'],
    ['ArrowDown', ArrowDown, 'Move down'],
    ['ArrowRight', ArrowRight, 'Move right'],
  ],
  resize: [
    ['ArrowLeft', ArrowLeft, 'Narrower'],
    ['ArrowUp', ArrowUp, 'Shorter'],
    ['ArrowDown', ArrowDown, 'Taller'],
    ['ArrowRight', ArrowRight, 'Wider'],
  ],
}

/** The position of a panel, for screen readers. */
export const describePosition = ({ title, position: { x, y, w, h } }: Panel) =>
  `${title}: column ${x + 1}, row ${y + 1}, ${w} wide, ${h} high.`

type Props = {
  panel: Panel
  mode: MoveMode
  onStep: (step: Step) => void
  onConfirm: () => void
  onCancel: () => void
}

/** Moves or resizes one panel by arrow keys, or by buttons on touch screens. */
export function KeyboardMove({ panel, mode, onStep, onConfirm, onCancel }: Props) {
  const box = useRef<HTMLFieldSetElement>(null)
  useEffect(() => {
    box.current?.focus()
  }, [])
  const onKeyDown = (event: KeyboardEvent) => {
    const step = KEYS[event.key]
    if (step) onStep(step)
    else if (event.key === 'Escape') onCancel()
    else if (event.key === 'Enter' && event.target === box.current) onConfirm()
    else return
    event.preventDefault()
    event.stopPropagation()
  }
  const button = 'grid size-8 place-items-center rounded-md hover:bg-raised'
  return (
    <fieldset
      ref={box}
      tabIndex={-1}
      aria-label={`${mode === 'move' ? 'Move' : 'Resize'} ${panel.title}: use the arrow keys, Enter to confirm, Escape to cancel`}
      onKeyDown={onKeyDown}
      className="absolute inset-0 z-10 grid place-items-center rounded-lg border-2 border-accent bg-accent/5"
    >
      <div className="flex items-center gap-0.5 rounded-lg border border-line bg-surface p-1 shadow-lg">
        {BUTTONS[mode].map(([key, Icon, label]) => (
          <button
            key={key}
            type="button"
            className={button}
            aria-label={label}
            title={label}
            onClick={() => onStep(KEYS[key] ?? {})}
          >
            <Icon size={16} aria-hidden="true" />
          </button>
        ))}
        <button
          type="button"
          className={button}
          aria-label="Confirm"
          title="Confirm"
          onClick={onConfirm}
        >
          <Check size={16} aria-hidden="true" />
        </button>
        <button
          type="button"
          className={button}
          aria-label="Cancel"
          title="Cancel"
          onClick={onCancel}
        >
          <X size={16} aria-hidden="true" />
        </button>
      </div>
    </fieldset>
  )
}
