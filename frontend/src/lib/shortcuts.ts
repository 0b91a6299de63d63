import { useEffect, useRef } from 'react'
import { create } from 'zustand'

export type Shortcut = {
  /** Key presses in order, separated by spaces: `?`, `mod+k` (Ctrl, or Command), `t ArrowLeft`. */
  keys: string
  label: string
  /** The heading under which it is listed. */
  group: string
  run: () => void
}

const KEY = 'pulseboard-single-keys'

type Shortcuts = {
  tables: ReadonlyMap<symbol, Shortcut[]>
  /** Whether single-letter shortcuts work: users of speech input turn them off. */
  singleKeys: boolean
  allowSingleKeys: (allowed: boolean) => void
}

/** All shortcuts of the current page: one table for handling, listing and searching them. */
export const useShortcutTable = create<Shortcuts>((set) => ({
  tables: new Map(),
  singleKeys: localStorage.getItem(KEY) !== 'off',
  allowSingleKeys: (allowed) => {
    localStorage.setItem(KEY, allowed ? 'on' : 'off')
    set({ singleKeys: allowed })
  },
}))

/** Registers shortcuts while the component is mounted. */
export function useShortcuts(shortcuts: Shortcut[]) {
  const latest = useRef(shortcuts)
  useEffect(() => {
    latest.current = shortcuts
  })
  const shape = JSON.stringify(shortcuts.map(({ keys, label, group }) => ({ keys, label, group })))
  useEffect(() => {
    const id = Symbol('shortcuts')
    const rows = JSON.parse(shape) as Omit<Shortcut, 'run'>[]
    const table = rows.map((row) => ({
      ...row,
      run: () => latest.current.find(({ keys }) => keys === row.keys)?.run(),
    }))
    useShortcutTable.setState(({ tables }) => ({ tables: new Map(tables).set(id, table) }))
    return () =>
      useShortcutTable.setState(({ tables }) => {
        const rest = new Map(tables)
        rest.delete(id)
        return { tables: rest }
      })
  }, [shape])
}

/** A key press in the notation of shortcuts; undefined for a bare modifier. */
export function pressOf(
  event: Pick<KeyboardEvent, 'key' | 'ctrlKey' | 'metaKey' | 'altKey' | 'shiftKey'>,
): string | undefined {
  if (['Control', 'Shift', 'Alt', 'Meta'].includes(event.key) || event.altKey) return undefined
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key
  const command = event.ctrlKey || event.metaKey
  // Shift is ignored for characters such as ?, which need it on some keyboards only.
  const shifted = event.shiftKey && (key.length > 1 || (command && /[a-z]/.test(key)))
  return `${command ? 'mod+' : ''}${shifted ? 'shift+' : ''}${key}`
}

/** The shortcut that matches the presses so far, and whether a longer one may still match. */
export function matchKeys(
  presses: string[],
  shortcuts: Shortcut[],
): { found?: Shortcut; open: boolean } {
  const typed = presses.join(' ')
  return {
    found: shortcuts.find(({ keys }) => keys === typed),
    open: shortcuts.some(({ keys }) => keys.startsWith(`${typed} `)),
  }
}

const PAUSE_MS = 1200
const TYPING = 'input, textarea, select, [contenteditable="true"]'
const LAYERS = 'dialog, [role="dialog"], [role="menu"], [role="listbox"]'

/** Handles the shortcuts of the table. Mounted once. */
export function useShortcutKeys() {
  useEffect(() => {
    let presses: string[] = []
    let last = 0
    const onKey = (event: KeyboardEvent) => {
      const press = pressOf(event)
      if (!press || event.defaultPrevented || event.repeat) return
      const target = event.target instanceof Element ? event.target : null
      const { tables, singleKeys } = useShortcutTable.getState()
      const bare = !press.startsWith('mod+')
      if (bare && (target?.closest(TYPING) || target?.closest(LAYERS))) return
      if (bare && !singleKeys && press.length === 1 && press !== '?') return
      presses = event.timeStamp - last < PAUSE_MS ? [...presses, press] : [press]
      last = event.timeStamp
      // The shortcuts that were registered last take precedence.
      const table = [...tables.values()].reverse().flat()
      let { found, open } = matchKeys(presses, table)
      if (!found && !open && presses.length > 1) {
        presses = [press]
        ;({ found, open } = matchKeys(presses, table))
      }
      if (!found && !open) presses = []
      if (!found) return
      presses = []
      event.preventDefault()
      found.run()
    }
    window.addEventListener('keydown', onKey)
    return () => window.removeEventListener('keydown', onKey)
  }, [])
}

const NAMES: Record<string, string> = {
  ArrowLeft: '←',
  ArrowRight: '→',
  ArrowUp: '↑',
  ArrowDown: '↓',
  Escape: 'Esc',
}

/** The key caps to show for a shortcut: one list per press. */
export function capsOf(keys: string, apple: boolean): string[][] {
  return keys
    .split(' ')
    .map((press) =>
      press
        .split('+')
        .map((part) =>
          part === 'mod'
            ? apple
              ? '⌘'
              : 'Ctrl'
            : part === 'shift'
              ? 'Shift'
              : (NAMES[part] ?? part),
        ),
    )
}
