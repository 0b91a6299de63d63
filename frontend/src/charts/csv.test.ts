import { expect, test } from 'vitest'
import { csvOf } from './csv'

test('one row per time and one column per series, with empty gaps', () => {
  const text = csvOf(
    [0, 10_000],
    [
      { label: 'web, "north"', values: [1.5, null] },
      { label: '=HYPERLINK("x")', values: [0, -2] },
    ],
  )
  expect(text.split('\r\n')).toEqual([
    `time,"web, ""north""","'=HYPERLINK(""x"")"`,
    '1970-01-01T00:00:00.000Z,1.5,0',
    '1970-01-01T00:00:10.000Z,,-2',
    '',
  ])
})
