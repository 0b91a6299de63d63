import { act, renderHook } from '@testing-library/react'
import { expect, it } from 'vitest'
import { patternOf } from '@/lib/re2-pattern'
import { useUnfinished } from './unfinished-patterns'

type Shown = Parameters<typeof useUnfinished>[0]

const panel = (options: object, query = 'up') =>
  ({
    options: { overrides: [], transformations: [], ...options },
    queries: [{ query }],
  }) as unknown as Shown

const SLOW = '(x*(x?){300})*y'

it('says that a pattern took too many steps, on the panels that use it', async () => {
  const used = renderHook(() =>
    useUnfinished(panel({ overrides: [{ by: 'pattern', match: SLOW }] })),
  )
  const renamed = renderHook(() =>
    useUnfinished(
      panel({ transformations: [{ id: 'renameByRegex', options: { regex: `/${SLOW}/i` } }] }),
    ),
  )
  const marked = renderHook(() => useUnfinished(panel({}, `up{host=~"${SLOW}"}`)))
  const other = renderHook(() => useUnfinished(panel({ overrides: [{ by: 'name', match: SLOW }] })))
  expect(used.result.current).toBeUndefined()
  await act(async () => {
    expect(patternOf(SLOW)?.test('x'.repeat(20_000))).toBe(false)
    expect(patternOf(`^(?:${SLOW})$`)?.test('x'.repeat(20_000))).toBe(false)
  })
  for (const { result } of [used, renamed, marked]) {
    expect(result.current).toContain('takes too many steps')
    expect(result.current).toContain('(x*(x?){300})*y')
  }
  expect(other.result.current).toBeUndefined()
})
