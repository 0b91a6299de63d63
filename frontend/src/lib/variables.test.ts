import { expect, test } from 'vitest'
import {
  ALL,
  autoInterval,
  type Chosen,
  choose,
  fillQuery,
  fillTaggedQuery,
  fillText,
  fillUrl,
  type Scope,
  single,
  timeScope,
} from './variables'

const some = (...values: string[]): Chosen => ({ values, all: false, open: true })
const scope: Scope = new Map([
  ['host', some('web-1')],
  ['hosts', some('web.1', 'web+2')],
  ['all', { values: ['a', 'b'], all: true, open: true }],
  ['every', { values: ['x', 'y'], all: true, open: false }],
  ['odd', some('a"b\\c')],
  ['money', some('$host')],
  ['window', single('5m')],
  ['metric', single('cpu')],
])

test.each([
  ['cpu{host="$host"}', 'cpu{host="web-1"}'],
  ['cpu{host="${host}"}', 'cpu{host="web-1"}'],
  ['cpu{host=~"$host"}', 'cpu{host=~"web-1"}'],
  ['cpu{host="$hosts"}', String.raw`cpu{host=~"web\\.1|web\\+2"}`],
  ['cpu{host!="$hosts"}', String.raw`cpu{host!~"web\\.1|web\\+2"}`],
  ['cpu{host=~"$hosts"}', String.raw`cpu{host=~"web\\.1|web\\+2"}`],
  ['cpu{host="a.$hosts"}', String.raw`cpu{host=~"a\\.(web\\.1|web\\+2)"}`],
  ['cpu{host=~"a.$hosts"}', String.raw`cpu{host=~"a.(web\\.1|web\\+2)"}`],
  ["cpu{host='$hosts'}", String.raw`cpu{host=~'web\\.1|web\\+2'}`],
  ['cpu{host="$all"}', 'cpu{host=~".*"}'],
  ['cpu{host!="$all"}', 'cpu{host!~".*"}'],
  ['cpu{host="$every"}', 'cpu{host=~"x|y"}'],
  ['cpu{host="$odd"}', String.raw`cpu{host="a\"b\\c"}`],
  ['cpu{host=~"$odd"}', String.raw`cpu{host=~"a\"b\\\\c"}`],
  ['cpu{host="$money"}', 'cpu{host="$host"}'],
  ['cpu{host=~"${hosts:regex}.*"}', String.raw`cpu{host=~"(web\\.1|web\\+2).*"}`],
  ['cpu{host="${hosts:csv}"}', 'cpu{host=~"web.1,web+2"}'],
  ['rate($metric{host="$host"}[$window])', 'rate(cpu{host="web-1"}[5m])'],
  ['label_replace(cpu, "a", "$1", "b", "(.*)")', 'label_replace(cpu, "a", "$1", "b", "(.*)")'],
  ['cpu{host=~"web-.*$"}', 'cpu{host=~"web-.*$"}'],
  ['cpu{host="$nobody"} / $else', 'cpu{host="$nobody"} / $else'],
])('%s becomes %s', (text, filled) => {
  expect(fillQuery(text, scope)).toBe(filled)
})

test('titles list their values', () => {
  expect(fillText('CPU of $host, ${hosts} and $all, $5', scope)).toBe(
    'CPU of web-1, web.1 + web+2 and All, $5',
  )
  expect(fillUrl('/x?h=${odd}', scope)).toBe('/x?h=a%22b%5Cc')
})

test('tags take one value, and several go into the selector', () => {
  const request = (query: string, host: string) => fillTaggedQuery({ query, tags: { host } }, scope)
  expect(request('cpu', '$host')).toEqual({ query: 'cpu', tags: { host: 'web-1' } })
  expect(request('cpu', '$all')).toEqual({ query: 'cpu', tags: {} })
  const matcher = String.raw`host=~"web\\.1|web\\+2"`
  expect(request('cpu', '$hosts')).toEqual({ query: `cpu{${matcher}}`, tags: {} })
  expect(request('cpu{a="b"}', '$hosts').query).toBe(`cpu{a="b",${matcher}}`)
  expect(request('{"a.b"}', '$hosts').query).toBe(`{"a.b",${matcher}}`)
})

test('the range is filled in, and intervals are left to the server', () => {
  const hour = timeScope(0, 3_600_000)
  expect(fillQuery('rate(x[$__rate_interval]) # $__interval ${__interval_ms} $__range', hour)).toBe(
    'rate(x[$__rate_interval]) # $__interval ${__interval_ms} 1h',
  )
  expect(fillQuery('$__range ${__range_s}', timeScope(0, 7 * 86_400_000))).toBe('7d 604800')
})

test('the chosen values come from the URL, the default, all or the first', () => {
  const tag = { type: 'tag', multi: true, includeAll: true, default: [] } as const
  const options = ['a', 'b', 'c']
  expect(choose(tag as never, options, [])).toEqual({ values: options, all: true, open: true })
  expect(choose(tag as never, options, ['b', 'gone'])).toMatchObject({ values: ['b', 'gone'] })
  expect(choose(tag as never, options, [ALL]).all).toBe(true)
  expect(choose(tag as never, options, ['All']).all).toBe(true)
  expect(choose({ type: 'list' }, options, [])).toMatchObject({ values: ['a'], all: false })
  expect(choose({ type: 'list' }, options, ['b', 'c']).values).toEqual(['b'])
  expect(choose({ type: 'list', default: ['c'] }, options, []).values).toEqual(['c'])
  expect(choose({ type: 'list' }, options, [ALL]).values).toEqual(['a'])
})

test('a default that does not exist is replaced by the first value', () => {
  const variable = { type: 'tag', default: ['elsewhere:9100'] } as const
  const withDefault = { ...variable, default: [...variable.default] }
  expect(choose(withDefault, [], []).values).toEqual(['elsewhere:9100'])
  expect(choose(withDefault, ['a', 'b'], []).values).toEqual(['a'])
  expect(choose(withDefault, ['a', 'elsewhere:9100'], []).values).toEqual(['elsewhere:9100'])
  expect(choose(withDefault, ['a', 'b'], ['gone']).values).toEqual(['gone'])
})

test.each([
  ['[[host]] [[hosts:csv]]', 'web-1 web.1,web+2'],
  ['${hosts:pipe} ${hosts:glob} ${hosts:json}', 'web.1|web+2 {web.1,web+2} ["web.1","web+2"]'],
  ['${hosts:queryparam}', 'var-hosts=web.1&var-hosts=web%2B2'],
  ['${hosts:singlequote} ${odd:doublequote}', String.raw`'web.1','web+2' "a\"b\c"`],
  ['${at:date} ${at:date:seconds}', '1970-01-01T00:00:01.500Z 1'],
  ['x{a=~"$own"}', 'x{a=~".+"}'],
  ['x{a="$own"}', 'x{a=~".+"}'],
  ['x{a=~"$typed"}', 'x{a=~"web-.*"}'],
  ['${user.login}', 'web-1'],
])('%s in each format is %s', (text, filled) => {
  const more: Scope = new Map([
    ...scope,
    ['at', single('1500')],
    ['own', { values: ['a', 'b'], all: true, open: true, allValue: '.+' }],
    ['typed', { values: ['web-.*'], all: false, open: false, raw: true }],
    ['user', single('web-1')],
  ])
  expect(fillQuery(text, more)).toBe(filled)
})

test('what depends on another choice gives way where it does not exist', () => {
  const variable = { type: 'query', default: ['b'] } as const
  const depending = { ...variable, default: [...variable.default] }
  expect(choose(depending, ['a', 'b'], ['gone'], true).values).toEqual(['b'])
  expect(choose(depending, ['a', 'b'], ['a'], true).values).toEqual(['a'])
  expect(choose(depending, ['a', 'b'], ['gone']).values).toEqual(['gone'])
})

test('an interval follows the range, and is never below its least', () => {
  expect(autoInterval(3_600_000, 30, 10_000)).toBe('2m')
  expect(autoInterval(60_000, 30, 10_000)).toBe('10s')
  expect(autoInterval(30 * 86_400_000, 30, 10_000)).toBe('1d')
})
