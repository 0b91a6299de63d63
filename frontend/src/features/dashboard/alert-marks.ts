import { useQuery } from '@tanstack/react-query'
import { useMemo } from 'react'
import {
  getAlertHistoryOptions,
  getAlertRulesOptions,
} from '@/api/generated/@tanstack/react-query.gen'
import type { AlertEvent, AlertRule, Panel } from '@/api/generated/types.gen'
import { resolveColor } from '@/charts/palette'

const POLL = 30_000
const quietly = { refetchInterval: POLL, refetchIntervalInBackground: false, retry: 0 } as const

/** The metric names that a query may use: words outside quotes, and a quoted metric. */
export function namesIn(query: string): Set<string> {
  const quoted = [...query.matchAll(/\{\s*"([\w:.]+)"/g)].map((found) => found[1] ?? '')
  const plain = query.replace(/"(?:[^"\\]|\\.)*"|\{[^}]*\}|\[[^\]]*\]/g, ' ')
  return new Set([...quoted, ...(plain.match(/[a-zA-Z_:][\w:.]*/g) ?? [])])
}

export type AlertMark = { time: number; status: 'firing' | 'resolved' }

/** When alerts on a panel's own metrics fired and resolved, within [start, end]. */
export function marksOf(
  panel: Pick<Panel, 'queries'>,
  rules: Pick<AlertRule, 'id' | 'query'>[],
  events: Pick<AlertEvent, 'ruleId' | 'triggeredAt' | 'resolvedAt'>[],
): AlertMark[] {
  const shown = new Set(panel.queries.flatMap(({ query }) => [...namesIn(query)]))
  const matching = new Set(
    rules
      .filter(({ query }) => [...namesIn(query)].some((name) => shown.has(name)))
      .map((r) => r.id),
  )
  return events
    .filter(({ ruleId }) => matching.has(ruleId))
    .flatMap(({ triggeredAt, resolvedAt }) => [
      { time: new Date(triggeredAt).getTime(), status: 'firing' as const },
      ...(resolvedAt
        ? [{ time: new Date(resolvedAt).getTime(), status: 'resolved' as const }]
        : []),
    ])
}

/** Alert marks for a chart. All panels share the two requests. */
export function useAlertMarks(panel: Panel): { time: number; color: string }[] {
  const rules = useQuery({ ...getAlertRulesOptions({ query: { pageSize: 1000 } }), ...quietly })
  const events = useQuery({ ...getAlertHistoryOptions({ query: { pageSize: 200 } }), ...quietly })
  const marks = useMemo(
    () => marksOf(panel, rules.data?.data ?? [], events.data?.data ?? []),
    [panel, rules.data, events.data],
  )
  return marks.map(({ time, status }) => ({
    time,
    color: resolveColor(status === 'firing' ? 'var(--danger)' : 'var(--ok)'),
  }))
}
