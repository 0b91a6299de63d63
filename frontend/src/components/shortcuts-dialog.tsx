import { capsOf, useShortcutTable } from '@/lib/shortcuts'
import { Dialog } from './ui/dialog'

const apple = /Mac|iPhone|iPad/.test(navigator.platform)

/** Keys, drawn as key caps. */
export function Keys({ keys }: { keys: string }) {
  return (
    <span className="inline-flex shrink-0 items-center gap-1">
      {capsOf(keys, apple).map((press) => (
        <span key={press.join()} className="inline-flex gap-0.5">
          {press.map((cap) => (
            <kbd
              key={cap}
              className="min-w-6 rounded border border-line bg-raised px-1.5 py-0.5 text-center font-sans text-xs"
            >
              {cap}
            </kbd>
          ))}
        </span>
      ))}
    </span>
  )
}

/** All keyboard shortcuts of the page, from the same table that handles them. */
export function ShortcutsDialog({ onClose }: { onClose: () => void }) {
  const { tables, singleKeys, allowSingleKeys } = useShortcutTable()
  const all = [...tables.values()].flat()
  const groups = [...new Set(all.map(({ group }) => group))]
  return (
    <Dialog title="Keyboard shortcuts" onClose={onClose}>
      <div className="max-h-[60vh] space-y-4 overflow-y-auto">
        {groups.map((group) => (
          <section key={group} aria-label={group}>
            <h3 className="mb-1 text-xs font-medium text-muted">{group}</h3>
            <dl>
              {all
                .filter((shortcut) => shortcut.group === group)
                .map(({ keys, label }) => (
                  <div
                    key={keys}
                    className="flex items-center justify-between gap-3 border-t border-line py-1.5"
                  >
                    <dt>{label}</dt>
                    <dd>
                      <Keys keys={keys} />
                    </dd>
                  </div>
                ))}
            </dl>
          </section>
        ))}
      </div>
      <label className="mt-4 flex items-center gap-2 border-t border-line pt-3 text-sm">
        <input
          type="checkbox"
          checked={singleKeys}
          onChange={(event) => allowSingleKeys(event.target.checked)}
        />
        Enable single-letter shortcuts
      </label>
    </Dialog>
  )
}
