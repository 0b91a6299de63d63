import type { Dashboard, UpdateDashboard } from '@/api/generated/types.gen'
import { isApiError } from '@/lib/errors'
import { rebasePanels, updateOf } from './changes'
import { type DraftStore, rolledBack, saved } from './draft'

export const QUIET_MS = 500

/** The result of a save; `nothing` when there was nothing to save. */
export type Outcome = 'saved' | 'conflict' | 'failed' | 'nothing'

export type SaverClient = {
  put: (body: UpdateDashboard, leaving: boolean) => Promise<Dashboard>
  latest: () => Promise<Dashboard>
  onSaved: (board: Dashboard) => void
  onFailure: (error: unknown) => void
}

/**
 * Saves a draft once it has not changed for a while, one request at a time. A version conflict keeps the draft
 * and stops saving until `reload` or `overwrite`; any other failure rolls back.
 */
export function createSaver(store: DraftStore, client: SaverClient) {
  let timer: ReturnType<typeof setTimeout> | undefined
  let running: Promise<Outcome> | undefined

  const stop = store.subscribe((draft, before) => {
    if (draft.panels !== before.panels && draft.state === 'changed') schedule()
  })

  function schedule() {
    clearTimeout(timer)
    timer = setTimeout(() => void save(false), QUIET_MS)
  }

  async function save(leaving: boolean): Promise<Outcome> {
    clearTimeout(timer)
    if (running && !leaving) await running
    const { base, panels, state } = store.getState()
    if (state === 'conflict') return 'conflict'
    const body = updateOf(base, panels)
    if (!body) return 'nothing'
    store.setState({ state: 'saving' })
    running = send(body, panels, leaving)
    const outcome = await running
    running = undefined
    if (store.getState().state === 'changed') schedule()
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
        return 'conflict'
      }
      store.setState(rolledBack)
      client.onFailure(error)
      return 'failed'
    }
  }

  return {
    /** Saves pending changes now. `leaving`: the page may be closed before the response. */
    flush: (leaving = false) => save(leaving),
    /** Replaces the draft with the server's version. */
    async reload() {
      const board = await client.latest()
      store.setState({ base: board, panels: board.panels, past: [], future: [], state: 'saved' })
      client.onSaved(board)
    },
    /** Applies our changes to the server's version and saves. */
    async overwrite() {
      const board = await client.latest()
      store.setState((draft) => {
        const panels = rebasePanels(draft.base.panels, draft.panels, board.panels)
        return { ...draft, base: board, panels, state: 'changed' }
      })
      return await save(false)
    },
    /** Whether changes would be lost if the page were closed now. */
    atRisk: () => running !== undefined || store.getState().state === 'conflict',
    stop() {
      clearTimeout(timer)
      stop()
    },
  }
}

export type Saver = ReturnType<typeof createSaver>
