import { expect, test } from 'vitest'
import type { Panel } from '@/api/generated/types.gen'
import { type Scope, single } from '@/lib/variables'
import { resolvePanels } from './resolve-panels'

const panel = (id: string, position: [number, number, number, number], repeat?: string) =>
  ({
    id,
    title: `${id} $host`,
    type: 'line',
    queries: [{ query: 'cpu{host="$host"}', alias: '$host {{cpu}}', tags: {} }],
    options: { repeat, links: [], description: null },
    position: { x: position[0], y: position[1], w: position[2], h: position[3] },
  }) as unknown as Panel

const hosts = (...values: string[]): Scope =>
  new Map([['host', { values, all: false, open: true }]])
const positionsOf = (panels: Panel[]) =>
  panels.map(({ id, position: { x, y, w, h } }) => [id, x, y, w, h])

test('a panel is repeated side by side, in rows, and pushes down what is below', () => {
  const board = [panel('a', [0, 0, 4, 5], 'host'), panel('b', [0, 5, 12, 3])]
  expect(positionsOf(resolvePanels(board, hosts('1', '2', '3', '4')))).toEqual([
    ['a@1', 0, 0, 4, 5],
    ['a@2', 4, 0, 4, 5],
    ['a@3', 8, 0, 4, 5],
    ['a@4', 0, 5, 4, 5],
    ['b', 0, 10, 12, 3],
  ])
})

test('a neighbour makes room', () => {
  const board = [panel('a', [0, 0, 6, 4], 'host'), panel('b', [6, 0, 6, 4])]
  expect(positionsOf(resolvePanels(board, hosts('1', '2')))).toEqual([
    ['a@1', 0, 0, 6, 4],
    ['a@2', 6, 0, 6, 4],
    ['b', 6, 4, 6, 4],
  ])
})

test('each copy has its own value', () => {
  const [first, second] = resolvePanels([panel('a', [0, 0, 6, 4], 'host')], hosts('1', '2'))
  expect(first?.title).toBe('a 1')
  expect(second?.queries[0]).toMatchObject({ query: 'cpu{host="2"}', alias: '2 {{cpu}}' })
})

test('without values or without the variable, the panel is shown once', () => {
  expect(resolvePanels([panel('a', [0, 0, 6, 4], 'host')], hosts())).toHaveLength(1)
  const once = resolvePanels([panel('a', [0, 0, 6, 4], 'gone')], new Map([['host', single('x')]]))
  expect(positionsOf(once)).toEqual([['a', 0, 0, 6, 4]])
  expect(once[0]?.title).toBe('a x')
})
