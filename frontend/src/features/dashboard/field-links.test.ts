import { expect, test } from 'vitest'
import { single } from '@/lib/variables'
import { fillLink } from './field-links'

const context = {
  scope: new Map([
    ['host', { values: ['a b', 'c'], all: false, open: true }],
    ['__dashboard', single('x')],
  ]),
  from: 'now-6h',
  to: 'now',
}

test('links carry labels, values, the range and the variables', () => {
  const subject = { name: 'CPU', labels: { job: 'node/1' }, value: 4.5 }
  expect(
    fillLink('/d?j=${__field.labels.job}&v=${__value.raw}&n=${__field.name}', context, subject),
  ).toBe('/d?j=node%2F1&v=4.5&n=CPU')
  expect(fillLink('/d?${__url_time_range}&${__all_variables}', context)).toBe(
    '/d?from=now-6h&to=now&var-host=a%20b&var-host=c',
  )
})
