import type { Dashboard, Panel, UpdateDashboard } from '@/api/generated/types.gen'
import { isApiError, isRefused, isSignedOut, messageOf } from '@/lib/errors'
import { difference, rebaseDraft, updateOf } from './changes'
import { change, type DraftStore, isWaiting, saved } from './draft'

export const QUIET_MS = 500

/**
 * The result of a save; `nothing` when there was nothing to save, `waiting` for a network, a
 * sign-in or a server that responds, `refused` when it can't be saved as it is.
 */
export type Outcome = 'saved' | 'conflict' | 'refused' | 'nothing' | 'waiting'

export type SaverClient = {
  put: (body: UpdateDashboard, leaving: boolean) => Promise<Dashboard>
  latest: () => Promise<Dashboard>
  onSaved: (board: Dashboard) => void
  onRefused?: (error: unknown) => void
  onConflict?: () => void
  onSignedOut?: () => void
  /** It could not be saved now, and is tried again. */
  onWaiting?: () => void
  /** Whether the browser has a network: without one a save waits for it. */
  online?: () => boolean
  /** Whether whose draft it is is signed in: somebody else does not save it. */
  signedIn?: () => boolean
}

/** The most bytes that a browser sends for a page that is closed. */
const KEPT_ALIVE = 60_000

const sizeOf = (body: UpdateDashboard) => new TextEncoder().encode(JSON.stringify(body)).length

/** Milliseconds until a save is tried again. */
const backOff = (failures: number) => Math.min(1000 * 2 ** failures, 30_000)

/**
 * Saves a draft once it has not changed for a while. One request runs at a time, and whoever waits
 * for a save waits until the newest state is saved. The draft stays as it is whatever a save comes
 * to: without a network, a sign-in or a response it is tried again; a version conflict stops saving
 * until `reload` or `overwrite`; what the server refuses is sent again once it is changed.
 */
export function createSaver(store: DraftStore, client: SaverClient) {
  let timer: ReturnType<typeof setTimeout> | undefined
  let running: Promise<Outcome> | undefined
  let again = false
  let failures = 0
  /** What was sent and had no response: it may be saved, now or later. */
  let unsure: Panel[][] = []
  const online = client.online ?? (() => true)
  const signedIn = client.signedIn ?? (() => true)

  store.subscribe((draft, before) => {
    if (draft.state === 'conflict') return
    // What is undone while it is being saved is not saved yet, though nothing differs from the base.
    const undone = draft.panels !== before.panels && draft.base === before.base
    if (running && undone && draft.state === 'saved') return store.setState({ state: 'changed' })
    const changed = draft.state === 'changed' && before.state !== 'changed'
    const edited = draft.panels !== before.panels && (draft.state !== 'saved' || unsure.length)
    if (changed || edited) schedule(QUIET_MS)
  })

  function schedule(ms: number) {
    clearTimeout(timer)
    timer = setTimeout(() => void save(), ms)
  }

  function save(leaving = false): Promise<Outcome> {
    clearTimeout(timer)
    again = true
    running ??= work(leaving).finally(() => {
      running = undefined
    })
    return running
  }

  async function work(leaving: boolean): Promise<Outcome> {
    let outcome: Outcome = 'nothing'
    while (again) {
      again = false
      const { base, panels, state } = store.getState()
      if (state === 'conflict') return 'conflict'
      const body = updateOf(base, panels)
      if (!body && !unsure.length) {
        if (state !== 'saved') store.setState({ state: 'saved', failure: undefined })
        continue
      }
      const missing = !signedIn() ? 'signed-out' : !online() ? 'offline' : undefined
      if (missing) {
        store.setState({ state: missing })
        client.onWaiting?.()
        return 'waiting'
      }
      if (!body) {
        outcome = await settle(base)
      } else {
        // What waits stays marked while it is tried again.
        if (!isWaiting(state)) store.setState({ state: 'saving' })
        outcome = await send(body, panels, leaving)
      }
      leaving = false
      if (outcome === 'conflict' || outcome === 'waiting') return outcome
      if (outcome === 'refused' && !again) return outcome
    }
    return outcome
  }

  async function send(body: UpdateDashboard, panels: Panel[], leaving: boolean): Promise<Outcome> {
    try {
      adopt(await client.put(body, leaving), panels)
      return 'saved'
    } catch (error) {
      if (isSignedOut(error)) {
        store.setState({ state: 'signed-out' })
        client.onSignedOut?.()
        return 'waiting'
      }
      const conflict = isApiError(error) && error.code === 'CONFLICT'
      if (isRefused(error) && !conflict) {
        if (!pending()) return nothingLeft()
        store.setState({ state: 'refused', failure: messageOf(error) })
        client.onRefused?.(error)
        return 'refused'
      }
      unsure.push(panels)
      if (await savedAfterAll(body.version)) return 'saved'
      if (conflict) {
        unsure = []
        if (!pending()) return nothingLeft()
        store.setState({ state: 'conflict' })
        client.onConflict?.()
        return 'conflict'
      }
      return tryLater(error)
    }
  }

  /** Nothing differs from what is known to be saved, but something else may be saved. */
  async function settle({ version }: Dashboard): Promise<Outcome> {
    try {
      if (await savedAfterAll(version, true)) return 'saved'
    } catch (error) {
      return tryLater(error)
    }
    unsure = []
    return nothingLeft()
  }

  /** What was sent is not saved, and has been undone meanwhile. */
  function nothingLeft(): Outcome {
    again = true
    return 'nothing'
  }

  function tryLater(error: unknown): Outcome {
    store.setState(
      online() ? { state: 'retrying', failure: messageOf(error) } : { state: 'offline' },
    )
    client.onWaiting?.()
    schedule(backOff(failures++))
    return 'waiting'
  }

  function adopt(board: Dashboard, sent: Panel[]) {
    failures = 0
    unsure = []
    store.setState((draft) => saved(draft, board, sent))
    client.onSaved(board)
  }

  /** Whether something that had no response is saved nevertheless: it is not a conflict. */
  async function savedAfterAll(version: number, strict = false): Promise<boolean> {
    try {
      const board = await client.latest()
      const sent = unsure.findLast((panels) => difference(board.panels, panels) === 'none')
      if (board.version <= version || !sent) return false
      adopt(board, sent)
      again = true
      return true
    } catch (error) {
      if (strict) throw error
      return false
    }
  }

  /** What is not saved. */
  function pending(): UpdateDashboard | undefined {
    const { base, panels } = store.getState()
    return updateOf(base, panels)
  }

  /** Whether a browser would send it for a page that is closed. */
  function sendable(body: UpdateDashboard) {
    const { state } = store.getState()
    const blocked = state === 'conflict' || state === 'refused'
    return !blocked && online() && signedIn() && sizeOf(body) <= KEPT_ALIVE
  }

  return {
    /** Saves pending changes now. It ends when the newest state is saved, or can't be. */
    flush: () => save(),
    /** The page is left: what can still be sent, is. */
    leave() {
      const body = pending()
      // A second request beside the running one would be refused as out of date.
      if (body && !running && sendable(body)) void save(true)
    },
    /** Throws away what is not saved; Undo brings it back. */
    discard: () => store.setState((draft) => change(draft, draft.base.panels)),
    /** Throws away everything, for who signs out. */
    end() {
      clearTimeout(timer)
      unsure = []
      const { base } = store.getState()
      store.setState({ panels: base.panels, past: [], future: [], state: 'saved' })
      clearTimeout(timer)
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
      const { state } = store.getState()
      if (running || state === 'conflict' || isWaiting(state)) return true
      const body = pending()
      return body !== undefined && !sendable(body)
    },
  }
}

export type Saver = ReturnType<typeof createSaver>
