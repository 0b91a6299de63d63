import { readLabels } from './labels'
import type { RuleDraft } from './rule-draft'

const OF_THE_RULE = ['value', 'threshold', 'rule', 'reason', 'severity', 'alertname', 'externalURL']

/** The names of labels in a text's placeholders: `{{host}}`, `{{ $labels.host | toUpper }}`. */
export function namesIn(text: string): string[] {
  return [...text.matchAll(/\{\{-?([^{}]*)\}\}/g)].flatMap(([, inside = '']) => {
    const bare = /^\s*([a-zA-Z_][\w.]*)\s*-?\s*(?:\||$)/.exec(inside)?.[1]
    const labels = [...inside.matchAll(/(?:\$labels|\.Labels)\.([\w.]+)/g)].map(([, name]) => name)
    return [bare, ...labels].filter((name) => name !== undefined)
  })
}

/** Names in a rule's message and labels that none of its query's series has: they are empty. */
export function unknownNames(
  draft: Pick<RuleDraft, 'message' | 'labels'>,
  series: { tags: Record<string, string> }[],
): string[] {
  // Nothing is known of a query without series.
  if (series.length === 0) return []
  const { labels } = readLabels(draft.labels)
  const known = new Set([...OF_THE_RULE, ...series.flatMap(({ tags }) => Object.keys(tags))])
  const inLabels = Object.values(labels).flatMap(namesIn)
  const inMessage = namesIn(draft.message).filter((name) => !(name in labels))
  return [...new Set([...inMessage, ...inLabels])].filter((name) => !known.has(name))
}
