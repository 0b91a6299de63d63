import type { Shortcut } from '@/lib/shortcuts'

export type Action = { label: string; keys?: string; run: () => void }

/** Of the palette itself, and of what is closed by its key alone. */
const NOT_FOR_SEARCH = ['/', 'mod+k', 'Escape']

/**
 * The actions that hold each word that was typed, shortcuts among them; without a word a few, so
 * that what was opened last comes first.
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

/** Where the arrows lead in a list; undefined for any other key. */
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
