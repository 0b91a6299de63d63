import type { Dashboard, UpdateDashboard } from '@/api/generated/types.gen'
import { isApiError, isSignedOut } from '@/lib/errors'
import { difference, rebaseDraft, updateOf } from './changes'
import { type Draft, type DraftStore, rolledBack, saved } from './draft'

export const QUIET_MS = 500

/** The result of a save; `nothing` when there was nothing to save, `waiting` for a network or a sign-in. */
export type Outcome = 'saved' | 'conflict' | 'failed' | 'nothing' | 'waiting'

export type SaverClient = {
  put: (body: UpdateDashboard, leaving: boolean) => Promise<Dashboard>
  latest: () => Promise<Dashboard>
  onSaved: (board: Dashboard) => void
  /** The save was rejected; `lost`: the draft before it was taken back. */
  onFailure: (error: unknown, lost: Draft) => void
  onConflict?: () => void
  onSignedOut?: () => void
  /** Whether the browser has a network: without one a save waits for it. */
  online?: () => boolean
}

/** The most bytes that a browser sends for a page that is closed. */
const KEPT_ALIVE = 60_000

const sizeOf = (body: UpdateDashboard) => new TextEncoder().encode(JSON.stringify(body)).length

/**
 * Saves a draft once it has not changed for a while. One request runs at a time, and whoever waits
 * for a save waits until the newest state is saved. A version conflict keeps the draft and stops
 * saving until `reload` or `overwrite`; without a network the draft waits; any other failure rolls
 * back.
 */
export function createSaver(store: DraftStore, client: SaverClient) {
  let timer: ReturnType<typeof setTimeout> | undefined
  let running: Promise<Outcome> | undefined
  let again = false
  const online = client.online ?? (() => true)

  store.subscribe((draft, before) => {
    if (draft.panels !== before.panels && draft.state === 'changed') schedule()
  })

  function schedule() {
    clearTimeout(timer)
    timer = setTimeout(() => void save(), QUIET_MS)
  }

  function save(): Promise<Outcome> {
    clearTimeout(timer)
    again = true
    running ??= work().finally(() => {
      running = undefined
    })
    return running
  }

  async function work(): Promise<Outcome> {
    let outcome: Outcome = 'nothing'
    while (again) {
      again = false
      const { base, panels, state } = store.getState()
      if (state === 'conflict') return 'conflict'
      const body = updateOf(base, panels)
      if (!body) {
        if (state !== 'saved') store.setState({ state: 'saved' })
        continue
      }
      if (!online()) {
        store.setState({ state: 'waiting' })
        return 'waiting'
      }
      store.setState({ state: 'saving' })
      outcome = await send(body, panels, false)
      if (outcome !== 'saved') return outcome
    }
    return outcome
  }

  async function send(
    body: UpdateDashboard,
    panels: Dashboard['panels'],
    leaving: boolean,
  ): Promise<Outcome> {
    try {
      const board = await client.put(body, leaving)
      store.setState((draft) => saved(draft, board, panels))
      client.onSaved(board)
      return 'saved'
    } catch (error) {
      if (isApiError(error) && error.code === 'CONFLICT') {
        store.setState({ state: 'conflict' })
        client.onConflict?.()
        return 'conflict'
      }
      const arrived = isApiError(error) ? undefined : await savedAfterAll(body, panels)
      if (arrived) {
        store.setState((draft) => saved(draft, arrived, panels))
        client.onSaved(arrived)
        return 'saved'
      }
      if (isSignedOut(error)) client.onSignedOut?.()
      if (leaving || !online() || isSignedOut(error)) {
        store.setState({ state: 'waiting' })
        return 'waiting'
      }
      const lost = store.getState()
      store.setState(rolledBack)
      client.onFailure(error, lost)
      return 'failed'
    }
  }

  /** The dashboard, if a save whose response was lost has been done nevertheless. */
  async function savedAfterAll(
    body: UpdateDashboard,
    panels: Dashboard['panels'],
  ): Promise<Dashboard | undefined> {
    try {
      const board = await client.latest()
      const same = difference(board.panels, panels) === 'none'
      return board.version > body.version && same ? board : undefined
    } catch {
      return undefined
    }
  }

  /** What is not saved and is not being saved either. */
  function pending(): UpdateDashboard | undefined {
    const { base, panels } = store.getState()
    return updateOf(base, panels)
  }

  return {
    /** Saves pending changes now. It ends when the newest state is saved, or can't be. */
    flush: save,
    /** The page is left: what can still be sent, is. Answers whether something stays unsaved. */
    leave(): boolean {
      const body = pending()
      if (!body) return false
      const { panels, state } = store.getState()
      // A second request beside the running one would be refused as out of date.
      const send_ = !running && state !== 'conflict' && online() && sizeOf(body) <= KEPT_ALIVE
      if (!send_) return true
      clearTimeout(timer)
      store.setState({ state: 'saving' })
      running = send(body, panels, true).finally(() => {
        running = undefined
      })
      return true
    },
    /** Replaces the draft with the server's version. */
    async reload() {
      const board = await client.latest()
      store.setState({ base: board, panels: board.panels, past: [], future: [], state: 'saved' })
      client.onSaved(board)
    },
    /** The version that the server has now. */
    latestVersion: async () => (await client.latest()).version,
    /** Applies our changes to the server's version and saves. */
    async overwrite() {
      const board = await client.latest()
      store.setState((draft) => rebaseDraft(draft, board))
      return await save()
    },
    /** Whether changes would be lost, or only kept in this browser, if the page were closed now. */
    atRisk: () => {
      if (running || store.getState().state === 'conflict') return true
      const body = pending()
      return body !== undefined && (!online() || sizeOf(body) > KEPT_ALIVE)
    },
  }
}

export type Saver = ReturnType<typeof createSaver>
