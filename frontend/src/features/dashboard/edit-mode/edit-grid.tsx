import { type ReactNode, useState } from 'react'
import GridLayout, { type Layout, useContainerWidth } from 'react-grid-layout'
import { toast } from 'sonner'
import { useStore } from 'zustand'
import type { Dashboard, Panel } from '@/api/generated/types.gen'
import { Card, Empty } from '@/components/ui/controls'
import { toastAction } from '@/lib/toast-action'
import './edit-grid.css'
import { compacted } from './compacted'
import { amend, change, type Draft, undo } from './draft'
import { describePosition, KeyboardMove, type MoveMode } from './keyboard-move'
import {
  applyLayout,
  COLUMNS,
  freePosition,
  layoutOf,
  move,
  putBack,
  resize,
  type Step,
} from './layout'
import { PanelMenu } from './panel-menu'
import type { Editing } from './use-draft'

type Props = {
  board: Dashboard
  editing: Editing
  /** Renders a panel with its data; `menu` goes into its header. */
  render: (panel: Panel, menu: ReactNode) => ReactNode
}

const GRID = {
  cols: COLUMNS,
  rowHeight: 36,
  margin: [12, 12],
  containerPadding: [0, 0],
} as const
const DRAG = { handle: '.panel-header', cancel: 'button,a,input,select,textarea,dialog' }
const RESIZE = { handles: ['se', 'e', 's'] } as const
/** Below this width, in pixels, panels are stacked and are moved by their menu. */
const NARROW = 736

/** The panels of a dashboard being edited: dragged, resized, or moved by keyboard. */
export function EditGrid({ board, editing, render }: Props) {
  const { store } = editing
  const panels = useStore(store, (draft) => draft.panels)
  const { width, containerRef, mounted } = useContainerWidth()
  const [keyboardMove, setKeyboardMove] = useState<{ id: string; mode: MoveMode; moved: boolean }>()
  const [announcement, announce] = useState('')

  const act = (next: (draft: Draft) => Draft) => store.setState(next)
  const drop = (layout: Layout) =>
    act((draft) => change(draft, compacted(applyLayout(draft.panels, layout))))

  const step = (direction: Step) => {
    if (!keyboardMove) return
    const before = store.getState().panels
    const after = (keyboardMove.mode === 'move' ? move : resize)(before, keyboardMove.id, direction)
    const panel = after.find((other) => other.id === keyboardMove.id)
    if (panel)
      announce(after === before ? `${panel.title} cannot go any further.` : describePosition(panel))
    if (after === before) return
    act((draft) => (keyboardMove.moved ? amend(draft, after) : change(draft, after)))
    setKeyboardMove({ ...keyboardMove, moved: true })
  }
  const confirm = () => {
    const id = keyboardMove?.id
    setKeyboardMove(undefined)
    announce('Change confirmed.')
    focusMenu(id)
  }
  const cancel = () => {
    if (keyboardMove?.moved) act(undo)
    const id = keyboardMove?.id
    setKeyboardMove(undefined)
    announce('Change cancelled.')
    focusMenu(id)
  }
  const duplicate = (panel: Panel) => {
    const { w, h } = panel.position
    const copy = {
      ...panel,
      id: crypto.randomUUID(),
      title: `${panel.title.slice(0, 193)} (copy)`,
      position: freePosition(panels, w, h),
    }
    act((draft) => change(draft, [...draft.panels, copy]))
    announce(`${copy.title} added below.`)
  }
  const remove = (panel: Panel) => {
    const before = panels
    act((draft) => change(draft, compacted(draft.panels.filter((other) => other.id !== panel.id))))
    const after = store.getState().panels
    const undoRemoval = (draft: Draft) =>
      draft.panels === after && draft.past.at(-1) === before
        ? undo(draft)
        : change(draft, putBack(draft.panels, before, after, panel))
    toast(
      `${panel.title} removed`,
      toastAction('Undo', () => act(undoRemoval)),
    )
  }
  const cells = panels.map((panel) => (
    <div key={panel.id} data-panel={panel.id} className="relative max-[760px]:h-64">
      {render(
        panel,
        <PanelMenu
          board={board}
          panel={panel}
          edit={{
            onKeyboardMove: (mode) => setKeyboardMove({ id: panel.id, mode, moved: false }),
            onDuplicate: () => duplicate(panel),
            onRemove: () => remove(panel),
            beforeCopy: () => editing.saver.flush(),
          }}
        />,
      )}
      {keyboardMove?.id === panel.id && (
        <KeyboardMove
          panel={panel}
          mode={keyboardMove.mode}
          onStep={step}
          onConfirm={confirm}
          onCancel={cancel}
        />
      )}
    </div>
  ))
  return (
    <div ref={containerRef}>
      <p role="status" aria-label="Announcements" className="sr-only">
        {announcement}
      </p>
      {panels.length === 0 && (
        <Card>
          <Empty title="No panels yet">
            Use Add panel in the toolbar above to create the first one.
          </Empty>
        </Card>
      )}
      {mounted &&
        (width < NARROW ? (
          <div className="flex flex-col gap-3">{cells}</div>
        ) : (
          <GridLayout
            width={width}
            layout={layoutOf(panels)}
            gridConfig={GRID}
            dragConfig={DRAG}
            resizeConfig={RESIZE}
            onDragStop={drop}
            onResizeStop={drop}
          >
            {cells}
          </GridLayout>
        ))}
    </div>
  )
}

/** Returns the focus to the menu button that opened the keyboard move. */
function focusMenu(id: string | undefined) {
  requestAnimationFrame(() =>
    document.querySelector<HTMLElement>(`[data-panel="${id}"] [aria-haspopup="menu"]`)?.focus(),
  )
}
