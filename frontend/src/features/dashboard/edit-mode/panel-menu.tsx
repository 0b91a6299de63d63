import { Link } from '@tanstack/react-router'
import { Copy, CopyPlus, EllipsisVertical, Move, Pencil, Scaling, Trash2 } from 'lucide-react'
import { type ReactNode, useRef, useState } from 'react'
import type { Dashboard, Panel } from '@/api/generated/types.gen'
import { Menu, MenuItem, MenuLine } from '@/components/ui/menu'
import { CopyPanelDialog } from './copy-panel-dialog'
import type { MoveMode } from './keyboard-move'

type Props = {
  board: Dashboard
  panel: Panel
  /** The displayed title; default: the stored title. */
  title?: string
  /** Actions that are available only in edit mode. */
  edit?: {
    onKeyboardMove: (mode: MoveMode) => void
    onDuplicate: () => void
    onRemove: () => void
    /** Saves pending changes, since the server copies the saved panel. */
    beforeCopy: () => Promise<unknown>
  }
  /** Further items, at the top. */
  children?: ReactNode
}

export function PanelMenu({ board, panel, title = panel.title, edit, children }: Props) {
  const [copying, setCopying] = useState(false)
  const moveStarted = useRef(false)
  const startMove = (mode: MoveMode) => {
    moveStarted.current = true
    edit?.onKeyboardMove(mode)
  }
  return (
    <>
      <Menu
        onCloseAutoFocus={(event) => {
          // Move and Resize manage the focus themselves.
          if (moveStarted.current) event.preventDefault()
          moveStarted.current = false
        }}
        trigger={
          <button
            type="button"
            aria-label={`Menu of ${title}`}
            className="grid size-6 shrink-0 place-items-center rounded text-muted hover:bg-raised hover:text-text"
          >
            <EllipsisVertical size={15} aria-hidden="true" />
          </button>
        }
      >
        {children}
        {board.canEdit && (
          <MenuItem asChild>
            <Link
              to="/dashboards/$id/panels/$panel/edit"
              params={{ id: board.id, panel: panel.id }}
              search={(before) => before}
            >
              <Pencil size={15} aria-hidden="true" /> Edit
            </Link>
          </MenuItem>
        )}
        {edit && (
          <>
            <MenuItem onSelect={() => startMove('move')}>
              <Move size={15} aria-hidden="true" /> Move
            </MenuItem>
            <MenuItem onSelect={() => startMove('resize')}>
              <Scaling size={15} aria-hidden="true" /> Resize
            </MenuItem>
            <MenuItem onSelect={edit.onDuplicate}>
              <CopyPlus size={15} aria-hidden="true" /> Duplicate
            </MenuItem>
          </>
        )}
        <MenuItem onSelect={() => setCopying(true)}>
          <Copy size={15} aria-hidden="true" /> Copy to dashboard…
        </MenuItem>
        {edit && (
          <>
            <MenuLine />
            <MenuItem danger onSelect={edit.onRemove}>
              <Trash2 size={15} aria-hidden="true" /> Remove
            </MenuItem>
          </>
        )}
      </Menu>
      {copying && (
        <CopyPanelDialog
          panel={panel}
          before={edit?.beforeCopy}
          onClose={() => setCopying(false)}
        />
      )}
    </>
  )
}
