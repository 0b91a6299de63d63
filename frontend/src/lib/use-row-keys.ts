import { useRef } from 'react'

/**
 * A key for each row of a list that is edited, so that what belongs to a row (its text as typed, the
 * focus) stays with it when others are added, removed or moved. Rows have no ids: a row is known by
 * being the same object, and an edited one, which is a new object, by standing where the old one was.
 */
export function useRowKeys(rows: readonly object[]): string[] {
  const known = useRef(new WeakMap<object, number>())
  const before = useRef<readonly object[]>([])
  const last = useRef(0)
  if (before.current !== rows) {
    const staying = new Set(rows)
    for (const [index, row] of rows.entries()) {
      if (known.current.has(row)) continue
      const old = before.current[index]
      const edited = old && !staying.has(old) ? known.current.get(old) : undefined
      last.current += 1
      known.current.set(row, edited ?? last.current)
    }
    before.current = rows
  }
  const seen = new Map<number, number>()
  return rows.map((row) => {
    const key = known.current.get(row) ?? 0
    const times = (seen.get(key) ?? 0) + 1
    seen.set(key, times)
    return `${key}-${times}`
  })
}
