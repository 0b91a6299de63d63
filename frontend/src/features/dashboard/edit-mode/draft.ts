import { createStore, type StoreApi } from 'zustand/vanilla'
import type { Dashboard, Panel } from '@/api/generated/types.gen'
import { difference, keepSame, rebaseDraft, rebasePanels } from './changes'

/** `retrying`: the server has not responded; `refused`: it can't be saved as it is. */
export type SaveState =
  | 'saved'
  | 'changed'
  | 'saving'
  | 'offline'
  | 'signed-out'
  | 'retrying'
  | 'refused'
  | 'conflict'

const WAITING: readonly SaveState[] = ['offline', 'signed-out', 'retrying', 'refused']

/** Whether changes could not be saved, and are still to be. */
export const isWaiting = (state: SaveState) => WAITING.includes(state)

export type Draft = {
  /** The dashboard as saved on the server. */
  base: Dashboard
  /** The panels as displayed. */
  panels: Panel[]
  past: Panel[][]
  future: Panel[][]
  state: SaveState
  /** Why the last save failed, while it is tried again or was refused. */
  failure?: string | undefined
  /** This browser has no room to keep what is not saved. */
  unkept?: boolean
}

export type DraftStore = StoreApi<Draft>

const STEPS = 100

export const createDraft = (base: Dashboard): DraftStore =>
  createStore<Draft>(() => ({ base, panels: base.panels, past: [], future: [], state: 'saved' }))

/**
 * A conflict stays until the user resolves it, and what could not be saved is marked until it is;
 * any other change is pending until the next save.
 */
const pending = (draft: Draft, panels: Panel[]): SaveState => {
  if (draft.state === 'conflict') return 'conflict'
  if (difference(draft.base.panels, panels) === 'none') return 'saved'
  return isWaiting(draft.state) ? draft.state : 'changed'
}

/** A change by the user: displayed at once, and one undo step. */
export function change(draft: Draft, panels: Panel[]): Draft {
  if (difference(draft.panels, panels) === 'none') return draft
  return {
    ...draft,
    panels,
    past: [...draft.past.slice(-STEPS + 1), draft.panels],
    future: [],
    state: pending(draft, panels),
  }
}

/** Extends the last step, as repeated arrow keys do: no further undo step. */
export function amend(draft: Draft, panels: Panel[]): Draft {
  return { ...draft, panels, future: [], state: pending(draft, panels) }
}

export function undo(draft: Draft): Draft {
  const panels = draft.past.at(-1)
  if (!panels) return draft
  return {
    ...draft,
    panels,
    past: draft.past.slice(0, -1),
    future: [draft.panels, ...draft.future],
    state: pending(draft, panels),
  }
}

export function redo(draft: Draft): Draft {
  const [panels, ...future] = draft.future
  if (!panels) return draft
  return {
    ...draft,
    panels,
    past: [...draft.past, draft.panels],
    future,
    state: pending(draft, panels),
  }
}

/** The server has saved what was sent; later changes are still to be saved. */
export function saved(draft: Draft, board: Dashboard, sent: Panel[]): Draft {
  const base = { ...board, panels: keepSame(sent, board.panels) }
  const panels = draft.panels === sent ? base.panels : draft.panels
  const next = { ...draft, base, panels, state: 'saved' as const, failure: undefined }
  return { ...next, state: pending(next, panels) }
}

/**
 * Without the change from `before` to `after`, as if it had not been made. What was changed beside
 * it stays; if nothing else is unsaved, there is nothing to save or to decide.
 */
export function withdrawn(draft: Draft, before: Panel[], after: Panel[]): Draft {
  const last = draft.panels === after && draft.past.at(-1) === before
  const next = last
    ? { ...draft, panels: before, past: draft.past.slice(0, -1) }
    : change(draft, rebasePanels(after, before, draft.panels))
  const nothing = difference(draft.base.panels, next.panels) === 'none'
  return { ...next, state: nothing ? 'saved' : pending(next, next.panels) }
}

/** Adopts a newer version from the server, unless there are unsaved changes. */
export function adopt(draft: Draft, board: Dashboard): Draft {
  if (board.version <= draft.base.version || draft.state !== 'saved') return draft
  const rebased = rebaseDraft(draft, board)
  return { ...rebased, panels: rebased.base.panels, state: 'saved' }
}
