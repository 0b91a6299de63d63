import { cleanup, render, waitFor } from '@testing-library/react'
import { afterEach, expect, test } from 'vitest'
import type { SeriesOverride } from '@/api/generated/types.gen'
import { loadPatterns } from '@/lib/patterns'
import { OverrideInput } from './override-input'

afterEach(cleanup)

const shown = (match: string) =>
  render(
    <OverrideInput
      override={{ by: 'pattern', match } as SeriesOverride}
      type="line"
      path="options.overrides.0"
      fieldErrors={{}}
      onChange={() => {}}
    />,
  ).container

test('a regular expression that is none says what is wrong with it', async () => {
  const box = shown('web-(1|2')
  await waitFor(() =>
    expect(box.textContent).toContain(
      'It matches nothing: a ( has no ) (character 9 of the pattern).',
    ),
  )
})

test('a regular expression is no error', async () => {
  await loadPatterns()
  expect(shown('web-(1|2)').textContent).not.toContain('matches nothing')
})
