import { expect, test } from 'vitest'
import { timeAgo } from '@/lib/age'
import { readAddDataSearch } from './add-data-search'
import { AGENTS, fill } from './agents'

test('snippets get the URL and key of the user', () => {
  for (const { id, text } of AGENTS) {
    const here = 'http://localhost:8080'
    const filled = fill(text, { browser: here, agents: here }, 'pb_mine')
    expect(filled, id).toContain('http://localhost:8080')
    expect(filled, id).toContain('pb_mine')
    expect(filled, id).not.toMatch(/example\.com|YOUR_KEY/)
  }
})

test('samples go to the address of agents, and the package comes from that of this page', () => {
  const addresses = { browser: 'https://b.example.net', agents: 'https://a.example.net' }
  for (const { id, text } of AGENTS) {
    const filled = fill(text, addresses)
    expect(filled, id).toContain(addresses.agents)
    expect(filled.includes(addresses.browser), id).toBe(text.includes('/agent/pulseboard-'))
    expect(filled, id).not.toContain(`${addresses.agents}/agent/`)
  }
})

test('without a key its placeholder stays', () => {
  const here = { browser: 'http://x', agents: 'http://x' }
  expect(fill('key: pb_YOUR_KEY\n', here)).toBe('key: pb_YOUR_KEY')
})

test('the key in the URL is an id, never a secret', () => {
  const key = '0190c2c4-5f3e-7c3a-9d0b-0123456789ab'
  expect(readAddDataSearch({ key, agent: 'curl' })).toEqual({ key, agent: 'curl' })
  expect(readAddDataSearch({ key: 'pb_secret' }).key).toBeUndefined()
})

test('ages are rounded', () => {
  const now = Date.parse('2026-01-02T00:00:00Z')
  expect(timeAgo('2026-01-01T23:59:58Z', now)).toBe('2 s ago')
  expect(timeAgo('2026-01-01T23:50:00Z', now)).toBe('10 min ago')
  expect(timeAgo('2026-01-01T20:00:00Z', now)).toBe('4 h ago')
  expect(timeAgo('2025-12-25T00:00:00Z', now)).toBe('8 days ago')
  expect(timeAgo('2026-01-02T00:00:05Z', now)).toBe('0 s ago')
})
