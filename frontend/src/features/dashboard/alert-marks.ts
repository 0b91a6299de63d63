import { useQuery } from '@tanstack/react-query'
import { useMemo } from 'react'
import { getAlertHistoryOptions } from '@/api/generated/@tanstack/react-query.gen'
import type { AlertEvent, Panel } from '@/api/generated/types.gen'
import { resolveColor } from '@/charts/palette'
import { patternOf, usePatterns } from '@/lib/patterns'

const POLL = 30_000
const quietly = { refetchInterval: POLL, refetchIntervalInBackground: false, retry: 0 } as const

type Matcher = { label: string; operator: string; value: string }
export type Selector = { name: string; matchers: Matcher[] }

const TOKEN =
  /"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`|\d[\w.]*|[a-zA-Z_:][\w:.]*|=~|!~|!=|=|[(){}[\],]|\S/g
const WORDS = new Set(['and', 'or', 'unless', 'bool', 'offset', 'inf', 'nan', 'start', 'end'])
/** After the name of a function or an aggregation. */
const OPENS = new Set(['(', 'by', 'without'])
const LABEL_LISTS = new Set(['by', 'without', 'on', 'ignoring', 'group_left', 'group_right'])
const unquoted = (text: string) => text.slice(1, -1).replace(/\\(.)/g, '$1')

/** The selectors of a query: `sum by (host) (rate(cpu{env="a"}[5m]))` has one, of `cpu`. */
export function selectorsIn(query: string): Selector[] {
  const tokens: string[] = query.replace(/#.*$/gm, ' ').match(TOKEN) ?? []
  const found: Selector[] = []
  const skipTo = (at: number, end: string) => {
    const close = tokens.indexOf(end, at)
    return close < 0 ? tokens.length : close
  }
  for (let at = 0; at < tokens.length; at++) {
    const token = tokens[at] ?? ''
    const next = tokens[at + 1]
    if (token === '[') at = skipTo(at, ']')
    else if (LABEL_LISTS.has(token) && next === '(') at = skipTo(at, ')')
    else if (
      token === '{' ||
      (/^[a-zA-Z_:]/.test(token) && !OPENS.has(next ?? '') && !WORDS.has(token))
    ) {
      const open = token === '{' ? at : at + 1
      const close = tokens[open] === '{' ? skipTo(open, '}') : open
      const inside = tokens[open] === '{' ? tokens.slice(open + 1, close) : []
      const { name, matchers } = matchersIn(inside)
      found.push({ name: token === '{' ? name : token, matchers })
      at = tokens[open] === '{' ? close : at
    }
  }
  return found.filter(({ name }) => name !== '')
}

function matchersIn(tokens: string[]): Selector {
  const matchers: Matcher[] = []
  let name = ''
  for (let at = 0; at < tokens.length; at++) {
    const [label = '', operator = '', value = ''] = tokens.slice(at, at + 3)
    if (/^["'`]/.test(label) && !/^[=!]/.test(operator)) name = unquoted(label)
    else if (/^[=!]/.test(operator) && /^["'`]/.test(value)) {
      const matcher = {
        label: /^["'`]/.test(label) ? unquoted(label) : label,
        operator,
        value: unquoted(value),
      }
      if (matcher.label === '__name__') name = operator === '=' ? matcher.value : name
      else matchers.push(matcher)
      at += 2
    }
  }
  return { name, matchers }
}

/** Whether an alert's tags may be those of a series that these matchers select. */
function accepts(matchers: Matcher[], tags: Record<string, string>): boolean {
  return matchers.every(({ label, operator, value }) => {
    const tag = tags[label]
    // An aggregation has removed the tag, or a variable chooses the value.
    if (tag === undefined || value.includes('$')) return true
    if (operator === '=') return tag === value
    if (operator === '!=') return tag !== value
    const pattern = patternOf(`^(?:${value})$`, 's')
    return pattern === null || pattern.test(tag) === (operator === '=~')
  })
}

/** Whether the marks of a panel depend on patterns. */
const needsPatterns = ({ queries }: Pick<Panel, 'queries'>) =>
  queries.some(({ query }) => /=~|!~/.test(query))

export type AlertMark = { time: number; status: 'firing' | 'resolved' }

/** When alerts on series that a panel shows fired and resolved. */
export function marksOf(
  panel: Pick<Panel, 'queries'>,
  events: Pick<AlertEvent, 'query' | 'tags' | 'triggeredAt' | 'resolvedAt'>[],
): AlertMark[] {
  const shown = panel.queries.flatMap(({ query }) => selectorsIn(query))
  const metrics = new Map<string, Set<string>>()
  const metricsOf = (query: string) => {
    const known = metrics.get(query) ?? new Set(selectorsIn(query).map(({ name }) => name))
    metrics.set(query, known)
    return known
  }
  return events
    .filter(({ query, tags }) => {
      const watched = metricsOf(query ?? '')
      return shown.some(({ name, matchers }) => watched.has(name) && accepts(matchers, tags))
    })
    .flatMap(({ triggeredAt, resolvedAt }) => [
      { time: new Date(triggeredAt).getTime(), status: 'firing' as const },
      ...(resolvedAt
        ? [{ time: new Date(resolvedAt).getTime(), status: 'resolved' as const }]
        : []),
    ])
}

/** A range that holds [start, end], and stays the same while a live board moves a little. */
export function wideRange(start: number, end: number): { start: string; end: string } {
  const step = Math.max(300_000, (end - start) / 4)
  return {
    start: new Date(Math.floor(start / step) * step).toISOString(),
    end: new Date(Math.ceil(end / step) * step).toISOString(),
  }
}

/** Only what marks depend on. */
const eventsOf = ({ data }: { data: AlertEvent[] }) =>
  data.map(({ query, tags, triggeredAt, resolvedAt }) => ({ query, tags, triggeredAt, resolvedAt }))

/** Alert marks for a chart of [start, end], in milliseconds. All panels share the request. */
export function useAlertMarks(
  panel: Panel,
  start: number,
  end: number,
): { time: number; color: string }[] {
  const query = { ...wideRange(start, end), pageSize: 1000 }
  const events = useQuery({ ...getAlertHistoryOptions({ query }), ...quietly, select: eventsOf })
  const needed = needsPatterns(panel)
  const ready = usePatterns(needed) || !needed
  const marks = useMemo(
    () => (ready ? marksOf(panel, events.data ?? []) : []),
    [panel, events.data, ready],
  )
  return marks.map(({ time, status }) => ({
    time,
    color: resolveColor(status === 'firing' ? 'var(--danger)' : 'var(--ok)'),
  }))
}
