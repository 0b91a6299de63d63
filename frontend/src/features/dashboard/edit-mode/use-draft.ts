import { type QueryClient, replaceEqualDeep, useQuery, useQueryClient } from '@tanstack/react-query'
import { useEffect, useMemo, useState } from 'react'
import { toast } from 'sonner'
import { useStore } from 'zustand'
import {
  getDashboardOptions,
  getDashboardQueryKey,
  getMeOptions,
} from '@/api/generated/@tanstack/react-query.gen'
import { getDashboard, updateDashboard } from '@/api/generated/sdk.gen'
import type { Dashboard } from '@/api/generated/types.gen'
import { useSession } from '@/lib/session'
import { holdWork, isLetGo } from '@/lib/unsaved-work'
import { adopt, createDraft, type DraftStore } from './draft'
import { createBackups, takenUp } from './draft-backup'
import { createSaver, type Saver } from './saver'

export type Editing = {
  store: DraftStore
  saver: Saver
  /** Until what an earlier page has left is taken up. */
  opening?: Promise<void> | undefined
}

/** One draft per person and dashboard. It survives a visit to the panel editor, with its history. */
const drafts = new WeakMap<QueryClient, Map<string, Editing>>()

/** Milliseconds after which a save has had no response. */
const TIMEOUT = 30_000

const signedInId = (cache: QueryClient) => cache.getQueryData(getMeOptions().queryKey)?.data.id

function open(cache: QueryClient, owner: string, board: Dashboard): Editing {
  const known = drafts.get(cache) ?? new Map<string, Editing>()
  drafts.set(cache, known)
  const key = `${owner} ${board.id}`
  const there = known.get(key)
  if (there) return there
  const path = { dashboard_id: board.id }
  const store = createDraft(board)
  const backups = createBackups(owner, board.id)
  const mark = `not-saved-${board.id}`
  const elsewhere = () => !window.location.pathname.includes(board.id)
  const say = (description: string) => {
    if (elsewhere())
      toast.error(`Your changes of ${board.name} are not saved.`, {
        id: mark,
        description,
        duration: Number.POSITIVE_INFINITY,
      })
  }
  const saver = createSaver(store, {
    put: async (body, leaving) => {
      const { data } = await updateDashboard({
        path,
        body,
        keepalive: leaving,
        signal: AbortSignal.timeout(TIMEOUT),
        throwOnError: true,
      })
      return data.data
    },
    latest: async () => {
      const signal = AbortSignal.timeout(TIMEOUT)
      return (await getDashboard({ path, signal, throwOnError: true })).data.data
    },
    online: () => navigator.onLine,
    signedIn: () => signedInId(cache) === owner && !useSession.getState().ended,
    onSaved: (saved) => {
      toast.dismiss(mark)
      putInCache(cache, saved)
    },
    onSignedOut: () => useSession.getState().end(),
    onConflict: () => say('Someone else has changed it. Open it to decide.'),
    onRefused: () => say('Open it to see why.'),
    onWaiting: () => say('They are kept in this browser and saved as soon as that is possible.'),
  })
  store.subscribe((draft, before) => {
    const same = draft.panels === before.panels && draft.base === before.base
    const isSaved = draft.state === 'saved'
    if (same && isSaved === (before.state === 'saved')) return
    if (isSaved) return backups.drop()
    const unkept = !backups.keep(draft)
    if (unkept !== (draft.unkept ?? false)) store.setState({ unkept })
  })
  holdWork({
    save: () => saver.flush(),
    question: () =>
      store.getState().state === 'saved'
        ? undefined
        : `Your changes of ${board.name} are not saved. Sign out and discard them?`,
    discard: () => {
      saver.end()
      known.delete(key)
    },
  })
  const editing: Editing = { store, saver }
  if (backups.found()) {
    editing.opening = backups
      .take((found) => {
        store.setState((draft) => takenUp(draft, found))
        const { state } = store.getState()
        if (state !== 'saved') toast.info(`Your unsaved changes of ${board.name} are back.`)
      })
      .finally(() => {
        editing.opening = undefined
      })
  }
  known.set(key, editing)
  return editing
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
  const owner = useQuery(getMeOptions()).data?.data.id
  const id = board?.canEdit ? board.id : undefined
  const editing = useMemo(
    () => (id && board && owner ? open(cache, owner, board) : undefined),
    [cache, id, owner],
  )
  const [, setOpened] = useState<Editing>()
  useEffect(() => {
    let gone = false
    void editing?.opening?.then(() => gone || setOpened(editing))
    return () => {
      gone = true
    }
  }, [editing])
  useEffect(() => {
    if (board) editing?.store.setState((draft) => adopt(draft, board))
  }, [editing, board])
  useEffect(() => {
    if (!editing) return
    const { saver } = editing
    const hide = () => saver.leave()
    const shown = () => void saver.flush()
    const unload = (event: BeforeUnloadEvent) => {
      if (isLetGo() || !saver.atRisk()) return
      void saver.flush()
      event.preventDefault()
    }
    const signedIn = useSession.subscribe(({ ended }) => {
      if (!ended) shown()
    })
    shown()
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
  return editing?.opening ? undefined : editing
}

const NOTHING = createDraft({ panels: [] as Dashboard['panels'] } as Dashboard)

/** The panels of the draft; none without a draft. */
export const useDraftPanels = (editing: Editing | undefined) =>
  useStore(editing?.store ?? NOTHING, (draft) => draft.panels)
