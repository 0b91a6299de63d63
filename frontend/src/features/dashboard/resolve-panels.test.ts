import { expect, test } from 'vitest'
import type { Panel } from '@/api/generated/types.gen'
import { type Scope, single } from '@/lib/variables'
import { resolveBoard } from './resolve-panels'

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
const resolvePanels = (panels: Panel[], scope: Scope) => resolveBoard(panels, scope).panels
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

const row = (id: string, y: number, options: Partial<Panel['options']> = {}, repeat?: string) => {
  const head = panel(id, [0, y, 12, 1], repeat)
  return { ...head, type: 'row', options: { ...head.options, ...options } } as Panel
}

test('a folded row leaves out its panels, and what is below moves up', () => {
  const board = [
    panel('a', [0, 0, 6, 4]),
    row('one', 4),
    panel('b', [0, 5, 6, 4]),
    row('two', 9),
    panel('c', [0, 10, 6, 4]),
  ]
  const found = resolveBoard(board, hosts('1'), { folded: ({ id }) => id === 'one' })
  expect(positionsOf(found.panels)).toEqual([
    ['a', 0, 0, 6, 4],
    ['one', 0, 4, 12, 1],
    ['two', 0, 5, 12, 1],
    ['c', 0, 6, 6, 4],
  ])
  expect(found.counts.get('one')).toBe(1)
})

test('a row is repeated with its panels, each copy with its value', () => {
  const board = [row('one', 0, {}, 'host'), panel('a', [0, 1, 6, 4]), panel('b', [6, 1, 6, 4])]
  const found = resolvePanels(board, hosts('x', 'y'))
  expect(found.map(({ id, title, position }) => [id, title, position.y])).toEqual([
    ['one@x', 'one x', 0],
    ['a@x', 'a x', 1],
    ['b@x', 'b x', 1],
    ['one@y', 'one y', 5],
    ['a@y', 'a y', 6],
    ['b@y', 'b y', 6],
  ])
})

test('only the panels of the open tab are shown', () => {
  const tab = { section: 'tab' } as const
  const board = [
    panel('above', [0, 0, 6, 4]),
    row('t1', 4, tab),
    panel('a', [0, 5, 6, 4]),
    row('t2', 9, tab),
    row('inner', 10),
    panel('b', [0, 11, 6, 4]),
  ]
  const ids = (open?: string) =>
    resolveBoard(board, hosts('1'), { tab: open }).panels.map(({ id }) => id)
  expect(ids()).toEqual(['above', 'a'])
  expect(ids('t2')).toEqual(['above', 'inner', 'b'])
  expect(resolveBoard(board, hosts('1')).tabs.map(({ id }) => id)).toEqual(['t1', 't2'])
})
