import { Link } from '@tanstack/react-router'
import { Check, CloudOff, CloudUpload, Plus, Redo2, Rows3, Undo2 } from 'lucide-react'
import { useEffect, useState } from 'react'
import { useStore } from 'zustand'
import type { Dashboard, Panel } from '@/api/generated/types.gen'
import { Button } from '@/components/ui/controls'
import { DEFAULT_OPTIONS } from '@/lib/panel-defaults'
import { change, type Draft, redo, type SaveState, undo } from './draft'
import { UnsavedBar } from './unsaved-bar'
import type { Editing } from './use-draft'

const STATES: Record<SaveState, [typeof Check, string]> = {
  saved: [Check, 'All changes saved'],
  changed: [CloudUpload, 'Unsaved changes'],
  saving: [CloudUpload, 'Saving…'],
  offline: [CloudOff, 'Not saved yet: waiting for the connection'],
  'signed-out': [CloudOff, 'Not saved yet: waiting for you to sign in'],
  retrying: [CloudOff, 'Not saved yet: trying again'],
  refused: [CloudOff, 'Not saved'],
  conflict: [CloudOff, 'Not saved'],
}

/** The head of a new row, below everything. */
function newRow({ base, panels }: Draft): Panel {
  const now = new Date().toISOString()
  // Not by the layout's functions: their library would be part of each dashboard's first load.
  const bottom = Math.max(0, ...panels.map(({ position }) => position.y + position.h))
  return {
    id: crypto.randomUUID(),
    dashboardId: base.id,
    title: 'New row',
    type: 'row',
    queries: [],
    options: DEFAULT_OPTIONS,
    position: { x: 0, y: bottom, w: 12, h: 1 },
    createdAt: now,
    updatedAt: now,
  }
}

type Props = { board: Dashboard; editing: Editing; onDone: () => void }

/** The toolbar of edit mode: add, undo, redo, and the save state. */
export function EditBar({ board, editing, onDone }: Props) {
  const { store } = editing
  const canUndo = useStore(store, (draft) => draft.past.length > 0)
  const canRedo = useStore(store, (draft) => draft.future.length > 0)
  const state = useStore(store, (draft) => draft.state)
  const act = (next: (draft: Draft) => Draft) => store.setState(next)
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const typing =
        event.target instanceof Element && event.target.closest('input,textarea,select')
      if (typing || !(event.ctrlKey || event.metaKey)) return
      const key = event.key.toLowerCase()
      if (key === 'z') store.setState(event.shiftKey ? redo : undo)
      else if (key === 'y') store.setState(redo)
      else return
      event.preventDefault()
    }
    document.addEventListener('keydown', onKey)
    return () => document.removeEventListener('keydown', onKey)
  }, [store])
  const [leaving, setLeaving] = useState(false)
  // What can't be saved stays on the screen, with its reason.
  const done = async () => {
    setLeaving(true)
    const outcome = await editing.saver.flush()
    setLeaving(false)
    if (outcome === 'saved' || outcome === 'nothing') onDone()
  }
  const [Icon, text] = STATES[state]
  return (
    <>
      <div
        role="toolbar"
        aria-label="Editing"
        className="sticky top-13 z-20 mb-3 flex flex-wrap items-center gap-2 rounded-lg border border-line bg-surface p-2 shadow-(--shadow)"
      >
        <Link
          to="/dashboards/$id/panels/$panel/edit"
          params={{ id: board.id, panel: 'new' }}
          search={(before) => before}
          className="inline-flex h-9 items-center gap-2 rounded-md border border-line px-3 text-sm font-medium hover:bg-raised"
        >
          <Plus size={16} aria-hidden="true" /> Add panel
        </Link>
        <Button onClick={() => act((draft) => change(draft, [...draft.panels, newRow(draft)]))}>
          <Rows3 size={16} aria-hidden="true" /> Add row
        </Button>
        <Button
          variant="ghost"
          className="w-9 !px-0"
          aria-label="Undo"
          title="Undo (Ctrl Z)"
          disabled={!canUndo}
          onClick={() => act(undo)}
        >
          <Undo2 size={16} aria-hidden="true" />
        </Button>
        <Button
          variant="ghost"
          className="w-9 !px-0"
          aria-label="Redo"
          title="Redo (Ctrl Shift Z)"
          disabled={!canRedo}
          onClick={() => act(redo)}
        >
          <Redo2 size={16} aria-hidden="true" />
        </Button>
        <span
          role="status"
          aria-label="Save state"
          className="ml-auto flex items-center gap-1.5 text-xs text-muted"
        >
          <Icon size={15} aria-hidden="true" />
          <span className="max-sm:sr-only">{text}</span>
        </span>
        <Button variant="primary" disabled={leaving} onClick={() => void done()}>
          {leaving ? 'Saving…' : 'Done'}
        </Button>
      </div>
      <UnsavedBar editing={editing} />
    </>
  )
}
