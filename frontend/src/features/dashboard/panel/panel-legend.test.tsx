import { cleanup, render } from '@testing-library/react'
import { afterEach, expect, test } from 'vitest'
import type { PanelOptions } from '@/api/generated/types.gen'
import type { StyledLine } from '@/charts/series-style'
import { DEFAULT_OPTIONS } from '@/lib/panel-defaults'
import { PanelLegend } from './panel-legend'

afterEach(cleanup)

const line = {
  key: 'a',
  label: 'web-1',
  values: [1, 5, 3],
  color: 'blue',
  unit: null,
  negative: false,
} as unknown as StyledLine

const shown = (options: Partial<PanelOptions>) =>
  render(
    <PanelLegend
      options={{ ...DEFAULT_OPTIONS, ...options }}
      lines={[line]}
      hidden={new Set()}
      onClick={() => {}}
    />,
  ).container

const cells = (box: HTMLElement, of: string) =>
  [...box.querySelectorAll(of)].map(({ textContent }) => textContent)

test('a legend has the calculations that were chosen, in their order', () => {
  const table = shown({ legend: 'table', legendValues: ['sum', 'first', 'max'] })
  expect(cells(table, 'th')).toEqual(['Series', 'sum', 'first', 'max'])
  expect(cells(table, 'td').slice(1)).toEqual(['9', '1', '5'])
})

test('a table without a choice has the usual four', () => {
  expect(cells(shown({ legend: 'table' }), 'th')).toEqual(['Series', 'last', 'min', 'max', 'avg'])
})

test('a list names the values that were chosen', () => {
  expect(shown({ legendValues: ['max', 'count'] }).textContent).toContain('max: 5  count: 3')
  cleanup()
  expect(shown({}).textContent).toBe('web-13')
})
