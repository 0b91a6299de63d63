import { expect, test, vi } from 'vitest'
import type { AlertRule, UpdateAlertRule } from '@/api/generated/types.gen'
import { createRuleSaver } from './save-rules'

/** A server with one rule, whose responses come when they are let go. */
function server() {
  const rule = { version: 3, enabled: true }
  const waiting: (() => void)[] = []
  const sent: UpdateAlertRule[] = []
  let away = false
  const put = async (_id: string, body: UpdateAlertRule) => {
    sent.push(body)
    await new Promise<void>((done) => waiting.push(done))
    if (away) throw { error: 'away', code: 'UNAVAILABLE' }
    if (body.version !== rule.version) throw { error: 'newer', code: 'CONFLICT' }
    Object.assign(rule, { enabled: body.enabled, version: rule.version + 1 })
    return { ...rule } as AlertRule
  }
  const next = async () => {
    await vi.waitUntil(() => waiting.length > 0)
    waiting.shift()?.()
    await new Promise((done) => setTimeout(done))
  }
  return { rule, sent, next, save: createRuleSaver(put), fail: (on: boolean) => (away = on) }
}

test('changes of one rule are saved one at a time, the last one last', async () => {
  const { rule, sent, next, save } = server()
  const saves = [false, true, false].map((enabled) => save('a', { version: 3, enabled }))
  await next()
  expect(sent).toHaveLength(2)
  await next()
  await next()
  await Promise.all(saves)
  expect(rule).toEqual({ version: 6, enabled: false })
  expect(sent.map(({ version }) => version)).toEqual([3, 4, 5])
})

test('rules do not wait for each other, nor for what fails', async () => {
  const { rule, sent, next, save, fail } = server()
  fail(true)
  const refused = save('a', { version: 3, enabled: false })
  const second = save('a', { version: 3, enabled: false })
  void save('b', { version: 3, enabled: false }).catch(() => undefined)
  await next()
  await expect(refused).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  expect(sent).toHaveLength(3)
  await next()
  fail(false)
  await next()
  await second
  expect(rule.enabled).toBe(false)
})

test('what somebody else has saved in between is a conflict', async () => {
  const { rule, next, save } = server()
  const first = save('a', { version: 3, enabled: false })
  await next()
  await first
  rule.version = 5
  const second = save('a', { version: 3, enabled: true })
  await next()
  await expect(second).rejects.toMatchObject({ code: 'CONFLICT' })
  const third = save('a', { version: 5, enabled: true })
  await next()
  await third
  const late = save('a', { version: 3, enabled: false })
  await next()
  await expect(late).rejects.toMatchObject({ code: 'CONFLICT' })
})
