import { expect, test } from 'vitest'
import { csvOf } from './csv'

test('a row a time and a column a series, with gaps left empty and zero written', () => {
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
