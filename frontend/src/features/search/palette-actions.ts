import type { Shortcut } from '@/lib/shortcuts'

export type Action = { label: string; keys?: string; run: () => void }

/** Shortcuts of the palette itself, and those that only close something. */
const NOT_FOR_SEARCH = ['/', 'mod+k', 'Escape']

/**
 * The actions, shortcuts included, that contain each typed word. Without a word only a few, so
 * that recently opened dashboards come first.
 */
export function actionsFor(text: string, actions: Action[], shortcuts: Shortcut[]): Action[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean)
  const all = [...actions, ...shortcuts.filter(({ keys }) => !NOT_FOR_SEARCH.includes(keys))]
  const distinct = all.filter(
    ({ label }, index) => all.findIndex((other) => other.label === label) === index,
  )
  return distinct
    .filter(({ label }) => words.every((word) => label.toLowerCase().includes(word)))
    .slice(0, words.length ? 8 : 4)
}

/** The index that a key selects in a list; undefined for keys that do not move the selection. */
export function moveSelection(key: string, from: number, count: number): number | undefined {
  if (!count) return undefined
  switch (key) {
    case 'ArrowDown':
      return (from + 1) % count
    case 'ArrowUp':
      return (from - 1 + count) % count
    case 'PageDown':
      return Math.min(count - 1, from + 5)
    case 'PageUp':
      return Math.max(0, from - 5)
    default:
      return undefined
  }
}
