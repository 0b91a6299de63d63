import { type ReactNode, useState } from 'react'
import GridLayout, { type Layout, useContainerWidth } from 'react-grid-layout'
import { toast } from 'sonner'
import { useStore } from 'zustand'
import type { Dashboard, Panel } from '@/api/generated/types.gen'
import { Card, Empty } from '@/components/ui/controls'
import './edit-grid.css'
import { amend, change, type Draft, undo } from './draft'
import { describePlace, Hand, type HandMode } from './keyboard-move'
import { COLUMNS, compacted, freePlace, layoutOf, move, place, resize, type Step } from './layout'
import { PanelMenu } from './panel-menu'
import type { Editing } from './use-draft'

type Props = {
  board: Dashboard
  editing: Editing
  /** A panel with its data; `menu` stands in its header. */
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
/** Below this width panels stand one under another, and are moved by their menu. */
const NARROW = 736

/** The panels of a dashboard being edited: dragged, sized, or moved by keyboard. */
export default function EditGrid({ board, editing, render }: Props) {
  const { store } = editing
  const panels = useStore(store, (draft) => draft.panels)
  const { width, containerRef, mounted } = useContainerWidth()
  const [hand, setHand] = useState<{ id: string; mode: HandMode; moved: boolean }>()
  const [said, say] = useState('')

  const act = (next: (draft: Draft) => Draft) => store.setState(next)
  const drop = (layout: Layout) =>
    act((draft) => change(draft, compacted(place(draft.panels, layout))))

  const step = (direction: Step) => {
    if (!hand) return
    const before = store.getState().panels
    const after = (hand.mode === 'move' ? move : resize)(before, hand.id, direction)
    const panel = after.find((other) => other.id === hand.id)
    if (panel)
      say(after === before ? `${panel.title} cannot go any further.` : describePlace(panel))
    if (after === before) return
    act((draft) => (hand.moved ? amend(draft, after) : change(draft, after)))
    setHand({ ...hand, moved: true })
  }
  const keep = () => {
    const id = hand?.id
    setHand(undefined)
    say('Change confirmed.')
    focusMenu(id)
  }
  const cancel = () => {
    if (hand?.moved) act(undo)
    const id = hand?.id
    setHand(undefined)
    say('Change cancelled.')
    focusMenu(id)
  }
  const duplicate = (panel: Panel) => {
    const { w, h } = panel.position
    const copy = {
      ...panel,
      id: crypto.randomUUID(),
      title: `${panel.title.slice(0, 193)} (copy)`,
      position: freePlace(panels, w, h),
    }
    act((draft) => change(draft, [...draft.panels, copy]))
    say(`${copy.title} added below.`)
  }
  const remove = (panel: Panel) => {
    const before = panels
    act((draft) => change(draft, compacted(draft.panels.filter((other) => other.id !== panel.id))))
    const after = store.getState().panels
    toast(`${panel.title} removed`, {
      action: {
        label: 'Undo',
        onClick: () =>
          act((draft) =>
            draft.panels === after && draft.past.at(-1) === before
              ? undo(draft)
              : change(draft, compacted([...draft.panels, panel])),
          ),
      },
    })
  }
  const cells = panels.map((panel) => (
    <div key={panel.id} data-panel={panel.id} className="relative max-[760px]:h-64">
      {render(
        panel,
        <PanelMenu
          board={board}
          panel={panel}
          edit={{
            onHand: (mode) => setHand({ id: panel.id, mode, moved: false }),
            onDuplicate: () => duplicate(panel),
            onRemove: () => remove(panel),
            beforeCopy: () => editing.saver.flush(),
          }}
        />,
      )}
      {hand?.id === panel.id && (
        <Hand panel={panel} mode={hand.mode} onStep={step} onKeep={keep} onCancel={cancel} />
      )}
    </div>
  ))
  return (
    <div ref={containerRef}>
      <p role="status" aria-label="Announcements" className="sr-only">
        {said}
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

/** Back to the button that the keyboard came from. */
function focusMenu(id: string | undefined) {
  requestAnimationFrame(() =>
    document.querySelector<HTMLElement>(`[data-panel="${id}"] [aria-haspopup="menu"]`)?.focus(),
  )
}
