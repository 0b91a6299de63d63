import { expect, test } from 'vitest'
import { complete, tokenAt } from './completion'

test('what stands at the caret is a metric, a tag or a value', () => {
  expect(tokenAt('rate(http_re', 12)).toEqual({ kind: 'metric', start: 5, text: 'http_re' })
  expect(tokenAt('cpu{ho', 6)).toEqual({ kind: 'tag', start: 4, text: 'ho', metric: 'cpu' })
  expect(tokenAt('cpu{host="a", en', 16)).toMatchObject({ kind: 'tag', text: 'en' })
  expect(tokenAt('cpu{host="we', 12)).toEqual({
    kind: 'value',
    start: 10,
    text: 'we',
    metric: 'cpu',
    tag: 'host',
  })
  expect(tokenAt('cpu{host="a"} + me', 18)).toMatchObject({ kind: 'metric', text: 'me' })
  expect(tokenAt('', 0)).toEqual({ kind: 'metric', start: 0, text: '' })
})

test('a choice takes the place of what was typed', () => {
  const at = (query: string, caret = query.length) => tokenAt(query, caret)
  expect(complete('rate(cp', at('rate(cp'), 'cpu_usage')).toEqual({
    query: 'rate(cpu_usage',
    caret: 14,
  })
  expect(complete('cpxyz)', at('cpxyz)', 2), 'cpu').query).toBe('cpu)')
  expect(complete('cpu{ho', at('cpu{ho'), 'host')).toEqual({ query: 'cpu{host=""', caret: 10 })
  expect(complete('cpu{host="w"}', at('cpu{host="w"}', 11), 'web').query).toBe('cpu{host="web"}')
  expect(complete('cpu{host="w', at('cpu{host="w'), 'web').query).toBe('cpu{host="web"')
})
