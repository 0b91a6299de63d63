import { describe, expect, it, test } from 'vitest'
import {
  describeRule,
  formatAlertValue,
  formatDuration,
  formatTags,
  readLabels,
  writeLabels,
} from './labels'

describe('labels of alerts', () => {
  it('describes a rule briefly', () => {
    const rule = { reducer: 'last', condition: 'gte', threshold: 90, duration: '5m' } as const
    expect(describeRule(rule)).toBe('last ≥ 90 for 5m')
    expect(describeRule({ ...rule, duration: '0s' })).toBe('last ≥ 90')
  })
  it('parses labels and names an invalid line', () => {
    expect(readLabels('team = ops\n\nenv=prod=1')).toEqual({
      labels: { team: 'ops', env: 'prod=1' },
    })
    expect(readLabels('team').error).toContain('team')
  })
  it('formats values, tags and durations', () => {
    expect(formatAlertValue(null)).toBe('no data')
    expect(formatAlertValue(95.25)).toBe('95.25')
    expect(formatTags({ b: '2', a: '1' })).toBe('a=1, b=2')
    expect([45_000, 600_000, 10_800_000, 345_600_000].map(formatDuration)).toEqual([
      '45 s',
      '10 min',
      '3 h',
      '4 d',
    ])
  })
})

test('labels are read as they were written, whatever is in them', () => {
  const labels = {
    team: 'ops, night=shift',
    note: ' "x" ',
    url: 'a=b',
    quoted: '"q"',
    empty: 'a\nb',
  }
  expect(readLabels(writeLabels(labels))).toEqual({ labels })
  expect(writeLabels({ team: 'ops, night=shift' })).toBe('team=ops, night=shift')
})
