import { expect, test } from 'vitest'
import { callAt, complete, functionsFor, tokenAt } from './completion'

test('the token at the caret is a metric, a tag or a value', () => {
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

test('a choice replaces the typed text', () => {
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

test('tag keys are offered in the lists of a grouping and of a matching', () => {
  expect(tokenAt('sum by (ho', 10)).toMatchObject({ kind: 'label', start: 8, text: 'ho' })
  const query = 'sum by (host, re) (rate(http_requests{code="200"}[5m]))'
  expect(tokenAt(query, 16)).toEqual({
    kind: 'label',
    start: 14,
    text: 're',
    metric: 'http_requests',
  })
  expect(complete(query, tokenAt(query, 16), 'region').query).toContain('by (host, region) (')
  expect(tokenAt('a / on(', 7)).toMatchObject({ kind: 'label', metric: 'a' })
  expect(tokenAt('sum by (host) (cp', 17)).toMatchObject({ kind: 'metric', text: 'cp' })
})

test('the call around the caret has a hint', () => {
  const name = (query: string) => callAt(query, query.length)?.name
  expect(name('rate(')).toBe('rate')
  expect(name('sum by (host) (rate(x[5m])')).toBe('sum')
  expect(name('quantile(0.9, max(x')).toBe('max')
  expect(name('x{a="("}')).toBeUndefined()
  expect(name('(a + b')).toBeUndefined()
  expect(callAt('clamp(x, 1', 10)?.hint).toMatch(/^clamp\(x, min, max\): /)
})

test('a function is offered with its signature', () => {
  expect(functionsFor('quantile_o')).toEqual([
    {
      text: 'quantile_over_time(',
      note: 'function',
      help: 'quantile_over_time(0.95, range): A quantile of the samples',
    },
  ])
})

test('names are offered where a value may begin, not after one', () => {
  const kind = (query: string) => tokenAt(query, query.length).kind
  for (const query of ['', 'sum(', 'a + ', 'a and ', 'quantile(0.9, ', 'a > bool ']) {
    expect(kind(query)).toBe('metric')
  }
  for (const query of ['x[5m]', 'x ', 'rate(x[', 'rate(x[5m', 'sum(x)', 'x{a="b"} ']) {
    expect(kind(query)).toBe('none')
  }
})

test('a choice within existing text replaces the whole token and nothing else', () => {
  const at = (query: string) => {
    const caret = query.indexOf('|')
    const text = query.replace('|', '')
    return { text, token: tokenAt(text, caret) }
  }
  const chosen = (query: string, choice: string) => {
    const { text, token } = at(query)
    return complete(text, token, choice).query
  }
  expect(chosen('cpu{ho|st="a", env="b"}', 'host')).toBe('cpu{host="a", env="b"}')
  expect(chosen('cpu{h|o=~"a"}', 'host')).toBe('cpu{host=~"a"}')
  expect(chosen('cpu{host="w|eb-1", env="b"}', 'web-2')).toBe('cpu{host="web-2", env="b"}')
  expect(chosen('sum by (ho|st, env) (cpu)', 'host')).toBe('sum by (host, env) (cpu)')
  expect(chosen('ra|te(cpu[5m])', 'rate(')).toBe('rate(cpu[5m])')
  expect(chosen('cpu{path="|"}', 'a"b')).toBe('cpu{path="a\\"b"}')
  expect(chosen('cpu{path="}{", ho|}', 'host')).toBe('cpu{path="}{", host=""}')
  expect(chosen('mem|', 'mem%')).toBe('{"mem%"}')
  expect(chosen('{"me|"}', 'mem%')).toBe('{"mem%"}')
  expect(chosen('{"mem%", k|}', 'k8s-app')).toBe('{"mem%", "k8s-app"=""}')
  expect(chosen('{"mem%", "k8|"="x"}', 'k8s-app')).toBe('{"mem%", "k8s-app"="x"}')
  expect(chosen('sum by (k|) ({"mem%"})', 'k8s-app')).toBe('sum by ("k8s-app") ({"mem%"})')
})

test('names and keys in quotes are known', () => {
  const text = '{"gr.web-01.load", "k8s-app"="x'
  expect(tokenAt(text, text.length)).toMatchObject({
    kind: 'value',
    metric: 'gr.web-01.load',
    tag: 'k8s-app',
    text: 'x',
  })
})
