import { createStore, type StoreApi } from 'zustand/vanilla'
import type { Dashboard, Panel } from '@/api/generated/types.gen'
import { difference, keepSame, rebaseDraft, rebasePanels } from './changes'

/** `waiting`: for the network, or for somebody to sign in. */
export type SaveState = 'saved' | 'changed' | 'saving' | 'waiting' | 'conflict'

export type Draft = {
  /** The dashboard as saved on the server. */
  base: Dashboard
  /** The panels as displayed. */
  panels: Panel[]
  past: Panel[][]
  future: Panel[][]
  state: SaveState
}

export type DraftStore = StoreApi<Draft>

const STEPS = 100

export const createDraft = (base: Dashboard): DraftStore =>
  createStore<Draft>(() => ({ base, panels: base.panels, past: [], future: [], state: 'saved' }))

/** A conflict stays until the user resolves it; any other change is pending until the next save. */
const pending = (draft: Draft, panels: Panel[]): SaveState => {
  if (draft.state === 'conflict') return 'conflict'
  return difference(draft.base.panels, panels) === 'none' ? 'saved' : 'changed'
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
  const next = { ...draft, base, panels, state: 'saved' as const }
  return { ...next, state: pending(next, panels) }
}

/**
 * The server has rejected the save: back to the saved state. Undo goes on from there, and redo
 * brings back, one by one, the steps that are not saved.
 */
export function rolledBack(draft: Draft): Draft {
  const { base, panels, past, future } = draft
  const at = past.findLastIndex((step) => difference(step, base.panels) === 'none')
  return {
    ...draft,
    panels: base.panels,
    past: at < 0 ? past : past.slice(0, at),
    future: [...(at < 0 ? [] : past.slice(at + 1)), panels, ...future],
    state: 'saved',
  }
}

/** Brings back what a rejected save took away: by redo, or on top of what has changed since. */
export function restored(draft: Draft, lost: Pick<Draft, 'base' | 'panels'>): Draft {
  let next = draft
  while (next.future.length) {
    next = redo(next)
    if (difference(next.panels, lost.panels) === 'none') return next
  }
  return change(draft, rebasePanels(lost.base.panels, lost.panels, draft.panels))
}

/** Adopts a newer version from the server, unless there are unsaved changes. */
export function adopt(draft: Draft, board: Dashboard): Draft {
  if (board.version <= draft.base.version || draft.state !== 'saved') return draft
  const rebased = rebaseDraft(draft, board)
  return { ...rebased, panels: rebased.base.panels, state: 'saved' }
}
