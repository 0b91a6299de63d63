import { type QueryClient, replaceEqualDeep, useQueryClient } from '@tanstack/react-query'
import { useEffect, useMemo } from 'react'
import { toast } from 'sonner'
import { useStore } from 'zustand'
import {
  getDashboardOptions,
  getDashboardQueryKey,
} from '@/api/generated/@tanstack/react-query.gen'
import { getDashboard, updateDashboard } from '@/api/generated/sdk.gen'
import type { Dashboard } from '@/api/generated/types.gen'
import { messageOf } from '@/lib/errors'
import { useSession } from '@/lib/session'
import { toastAction } from '@/lib/toast-action'
import { adopt, createDraft, type DraftStore, restored } from './draft'
import { dropBackup, keepBackup, restoreBackup } from './draft-backup'
import { createSaver, type Saver } from './saver'

export type Editing = { store: DraftStore; saver: Saver }

/** One draft per dashboard. It survives a visit to the panel editor, with its undo history. */
const drafts = new WeakMap<QueryClient, Map<string, Editing>>()

function open(cache: QueryClient, board: Dashboard): Editing {
  const known = drafts.get(cache) ?? new Map<string, Editing>()
  drafts.set(cache, known)
  const there = known.get(board.id)
  if (there) return there
  const path = { dashboard_id: board.id }
  const store = createDraft(board)
  const saver = createSaver(store, {
    put: async (body, leaving) => {
      const { data } = await updateDashboard({
        path,
        body,
        keepalive: leaving,
        throwOnError: true,
      })
      return data.data
    },
    latest: async () => (await getDashboard({ path, throwOnError: true })).data.data,
    online: () => navigator.onLine,
    onSaved: (saved) => {
      dropBackup(saved.id)
      putInCache(cache, saved)
    },
    onSignedOut: () => useSession.getState().end(),
    onConflict: () => {
      if (!window.location.pathname.includes(board.id))
        toast.error(`Your changes of ${board.name} are not saved.`, {
          description: 'Someone else has changed it. Open it to decide.',
          duration: Number.POSITIVE_INFINITY,
        })
    },
    onFailure: (error, lost) =>
      toast.error(`Not saved: ${messageOf(error)}`, {
        id: `not-saved-${board.id}`,
        description: 'Your changes since the last save were undone.',
        duration: Number.POSITIVE_INFINITY,
        ...toastAction('Try again', () => store.setState((draft) => restored(draft, lost))),
      }),
  })
  if (restoreBackup(store, board)) toast.info(`Your unsaved changes of ${board.name} are back.`)
  const created = { store, saver }
  known.set(board.id, created)
  return created
}

/** How often an open dashboard looks for changes by others. */
export const POLL = 30_000

/** A dashboard. A response that is older than what is here, since a save was faster, is ignored. */
export const boardOptions = (id: string) => ({
  ...getDashboardOptions({ path: { dashboard_id: id } }),
  staleTime: 60_000,
  structuralSharing: (before: unknown, after: unknown) =>
    versionOf(before) > versionOf(after) ? before : replaceEqualDeep(before, after),
})

const versionOf = (response: unknown) =>
  (response as { data?: Dashboard } | undefined)?.data?.version ?? 0

/** Puts the server's latest response into the query cache. */
export function putInCache(cache: QueryClient, board: Dashboard) {
  const { queryKey } = getDashboardOptions({ path: { dashboard_id: board.id } })
  cache.setQueryData(queryKey, { data: board, meta: null })
}

export const boardKey = (id: string) => getDashboardQueryKey({ path: { dashboard_id: id } })

/** The draft of a dashboard that the user may edit. Pending changes are sent when the page is left. */
export function useDraft(board: Dashboard | undefined): Editing | undefined {
  const cache = useQueryClient()
  const id = board?.canEdit ? board.id : undefined
  const editing = useMemo(() => (id && board ? open(cache, board) : undefined), [cache, id])
  useEffect(() => {
    if (board) editing?.store.setState((draft) => adopt(draft, board))
  }, [editing, board])
  useEffect(() => {
    if (!editing) return
    const { saver, store } = editing
    const hide = () => {
      if (saver.leave()) keepBackup(store.getState())
    }
    const shown = () => void saver.flush()
    const unload = (event: BeforeUnloadEvent) => {
      if (!saver.atRisk()) return
      void saver.flush()
      event.preventDefault()
    }
    const signedIn = useSession.subscribe(({ ended }) => {
      if (!ended) shown()
    })
    window.addEventListener('pagehide', hide)
    window.addEventListener('pageshow', shown)
    window.addEventListener('online', shown)
    window.addEventListener('beforeunload', unload)
    return () => {
      signedIn()
      window.removeEventListener('pagehide', hide)
      window.removeEventListener('pageshow', shown)
      window.removeEventListener('online', shown)
      window.removeEventListener('beforeunload', unload)
      void saver.flush()
    }
  }, [editing])
  return editing
}

const NOTHING = createDraft({ panels: [] as Dashboard['panels'] } as Dashboard)

/** The panels of the draft; none without a draft. */
export const useDraftPanels = (editing: Editing | undefined) =>
  useStore(editing?.store ?? NOTHING, (draft) => draft.panels)
