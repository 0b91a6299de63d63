import type { AlertRule, UpdateAlertRule } from '@/api/generated/types.gen'
import { createTurns } from '@/lib/in-turn'

type Put = (id: string, body: UpdateAlertRule) => Promise<AlertRule>

/**
 * Saves changes of rules, those of one rule one after the other. Whoever changes a rule while an
 * earlier change of their own is being saved has read the version before it: theirs is no conflict.
 */
export function createRuleSaver(put: Put): Put {
  const inTurn = createTurns()
  /** Of each rule, the versions that only our own saves lie between. */
  const own = new Map<string, { since: number; newest: number }>()
  return (id, body) =>
    inTurn(id, async () => {
      const known = own.get(id)
      const read = body.version ?? undefined
      const ours = known && read && known.since <= read && read < known.newest
      const version = ours ? known.newest : read
      const saved = await put(id, { ...body, version })
      if (version) {
        const since = known?.newest === version ? known.since : version
        own.set(id, { since, newest: saved.version })
      }
      return saved
    })
}
