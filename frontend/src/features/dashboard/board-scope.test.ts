import { expect, test } from 'vitest'
import { fillQuery, fillText, namesIn } from '@/lib/variables'
import { boardScopeOf } from './board-scope'

test('a dashboard knows its name and who looks at it', () => {
  const scope = boardScopeOf(new Map(), 'Hosts', { id: '7', email: 'ann@example.com' })
  expect(fillText('$__dashboard of ${__user.login}', scope)).toBe('Hosts of ann@example.com')
  expect(fillText('${__user.email} ${__user.id} $__user', scope)).toBe(
    'ann@example.com 7 ann@example.com',
  )
  expect(fillQuery('logins{user="${__user.id}",mail=~"${__user.login}"}', scope)).toBe(
    'logins{user="7",mail=~"ann@example\\\\.com"}',
  )
  // What refers to a field refers to its variable.
  expect(namesIn('${__user.login} ${host.text}')).toEqual(['__user', 'host'])
})

test('without a viewer a text stays', () => {
  expect(fillText('${__user.login}', boardScopeOf(new Map(), 'Hosts', undefined))).toBe(
    '${__user.login}',
  )
})
