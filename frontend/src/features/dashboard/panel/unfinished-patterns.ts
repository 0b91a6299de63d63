import type { Panel } from '@/api/generated/types.gen'
import { useUnfinishedPatterns } from '@/lib/unfinished-patterns'
import { selectorsIn } from '../alert-marks'

/** All texts in the options of a transformation. */
function textsIn(value: unknown): string[] {
  if (typeof value === 'string') return [value]
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(textsIn) : []
}

/** What a panel matches with in the browser: as written, and as it is compiled. */
function patternsOf({ options, queries }: Pick<Panel, 'options' | 'queries'>): [string, string][] {
  const overrides = options.overrides.flatMap(({ by, match }) => (by === 'pattern' ? [match] : []))
  const transformed = options.transformations.flatMap((step) => textsIn(step.options))
  const matchers = queries.flatMap(({ query }) =>
    selectorsIn(query).flatMap((selector) => selector.matchers.map(({ value }) => value)),
  )
  return [
    ...overrides.map((one): [string, string] => [one, one]),
    ...transformed.map((one): [string, string] => [one, /^\/(.*)\/[a-z]*$/s.exec(one)?.[1] ?? one]),
    // Alert marks are matched here, the series by the server.
    ...matchers.map((one): [string, string] => [one, `^(?:${one})$`]),
  ]
}

/** Why a panel lacks something: a pattern of its was given up. Undefined where none was. */
export function useUnfinished(panel: Pick<Panel, 'options' | 'queries'>): string | undefined {
  const unfinished = useUnfinishedPatterns()
  if (unfinished.size === 0) return undefined
  const found = patternsOf(panel).find(([, compiled]) => unfinished.has(compiled))
  return (
    found &&
    `The regular expression ${shortened(found[0])} takes too many steps for the browser: it matches nothing. Use a simpler one.`
  )
}

const shortened = (text: string) => (text.length > 60 ? `${text.slice(0, 60)}…` : text)
