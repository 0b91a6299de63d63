import { expect, test } from 'vitest'
import { DEFAULT_MAPPING, DEFAULT_OVERRIDE } from '@/lib/panel-defaults'
import { colorOf, PALETTES } from './palette'
import { applyOverrides, matches, overrideOf, showValue, thresholdColor } from './series-style'

const override = DEFAULT_OVERRIDE

test('* matches any text and nothing else is special', () => {
  expect(matches('web-*', 'web-1')).toBe(true)
  expect(matches('*', '')).toBe(true)
  expect(matches('a.b', 'axb')).toBe(false)
  expect(matches('web', 'web-1')).toBe(false)
  expect(matches('(in) *', '(in) eth0')).toBe(true)
  expect(matches('a*b*c', 'a-b-b-c')).toBe(true)
  expect(matches('a*b*c', 'a-c')).toBe(false)
  expect(matches('aa*aa', 'aaa')).toBe(false)
  expect(matches('*a*a*', 'xay')).toBe(false)
  expect(matches('**', 'any')).toBe(true)
})

test('later overrides win', () => {
  const found = overrideOf(
    [
      { ...override, match: 'web-*', color: 'blue', unit: 'bytes' },
      { ...override, match: 'web-1', color: 'orange' },
    ],
    'web-1',
  )
  expect(found).toMatchObject({ color: 'orange', unit: 'bytes' })
})

test('options are applied; hidden lines keep their palette index', () => {
  const table = {
    times: [0, 1],
    lines: ['a', 'b', 'c'].map((label) => ({ key: label, label, values: [1, null] })),
  }
  const lines = applyOverrides(table, {
    color: null,
    palette: null,
    unit: 'bytes',
    overrides: [
      { ...override, match: 'b', hidden: true, negative: null },
      { ...override, match: 'c', label: 'Sea', unit: 'seconds' },
    ],
  })
  expect(lines.map((line) => [line.label, line.unit, line.color])).toEqual([
    ['a', 'bytes', 'var(--series-1)'],
    ['Sea', 'seconds', 'var(--series-3)'],
  ])
  expect(lines[0]?.values).toEqual([1, null])
})

test('the highest threshold reached gives the colour', () => {
  const thresholds = [
    { value: 90, color: 'red', label: null },
    { value: 0, color: '#00ff00', label: null },
  ]
  expect(thresholdColor(thresholds, 50)).toBe('#00ff00')
  expect(thresholdColor(thresholds, 90)).toBe('var(--series-2)')
  expect(thresholdColor(thresholds, -1)).toBeUndefined()
})

test('palettes repeat, and an unknown one is the standard one', () => {
  const size = PALETTES.bright?.colors.length ?? 0
  expect(colorOf(size, null, 'bright')).toBe(colorOf(0, null, 'bright'))
  expect(colorOf(0, null, 'gone')).toBe('var(--series-1)')
  expect(colorOf(3, '#123456', 'bright')).toBe('#123456')
})

test('writes a mapped value as its text, and any other with its unit and threshold', () => {
  const options = {
    mappings: [
      { ...DEFAULT_MAPPING, low: 0, high: 0, text: 'Down', color: 'orange' },
      { ...DEFAULT_MAPPING, low: 1, text: 'Up' },
    ],
    thresholds: [{ value: 0.5, color: '#00ff00', label: null }],
    decimals: null,
  }
  expect(showValue(0, 'short', options)).toEqual({ text: 'Down', color: 'var(--series-2)' })
  expect(showValue(7, 'short', options)).toEqual({ text: 'Up', color: '#00ff00' })
  expect(showValue(0.6, 'percent', options).text).toBe('0.6 %')
  expect(showValue(undefined, 'percent', options)).toEqual({ text: '–', color: undefined })
})
