/** What is being typed at the caret of a query, and what may complete it. */
export type Token =
  | { kind: 'metric'; start: number; text: string }
  | { kind: 'tag'; start: number; text: string; metric: string }
  | { kind: 'value'; start: number; text: string; metric: string; tag: string }

/** What an expression can call, and what that gives. */
export const FUNCTIONS: Record<string, string> = {
  sum: 'over series',
  avg: 'over series',
  min: 'over series',
  max: 'over series',
  count: 'over series',
  stddev: 'over series',
  quantile: 'over series',
  topk: 'largest series',
  bottomk: 'smallest series',
  rate: 'a second, of a counter',
  irate: 'a second, of the last two samples',
  increase: 'of a counter',
  delta: 'of a gauge',
  deriv: 'slope a second',
  avg_over_time: 'over time',
  min_over_time: 'over time',
  max_over_time: 'over time',
  sum_over_time: 'over time',
  count_over_time: 'over time',
  last_over_time: 'over time',
  quantile_over_time: 'over time',
  stddev_over_time: 'over time',
  present_over_time: 'over time',
  absent_over_time: 'over time',
  histogram_quantile: 'of buckets by le',
  absent: '1 where there is nothing',
  label_replace: 'another label',
  abs: 'function',
  ceil: 'function',
  floor: 'function',
  round: 'function',
  clamp: 'function',
  clamp_min: 'function',
  clamp_max: 'function',
  ln: 'function',
  log2: 'function',
  log10: 'function',
  exp: 'function',
  sqrt: 'function',
  time: 'seconds since 1970',
}

/** Functions that begin with a text, as they are written. */
export function functionsFor(text: string): { text: string; note: string }[] {
  if (!text) return []
  return Object.entries(FUNCTIONS)
    .filter(([name]) => name.startsWith(text) && name !== text)
    .map(([name, note]) => ({ text: `${name}(`, note }))
}

const METRIC = /[a-zA-Z_:][\w:.]*$/

export function tokenAt(query: string, caret: number): Token {
  const before = query.slice(0, caret)
  const open = before.lastIndexOf('{')
  if (open > before.lastIndexOf('}')) {
    const metric = METRIC.exec(before.slice(0, open).trimEnd())?.[0] ?? ''
    const inner = before.slice(open + 1)
    const value = /([a-zA-Z_][\w.]*)\s*(?:=~|!~|!=|=)\s*"([^"]*)$/.exec(inner)
    if (value) {
      const text = value[2] ?? ''
      return { kind: 'value', start: caret - text.length, text, metric, tag: value[1] ?? '' }
    }
    const text = /[a-zA-Z_][\w.]*$/.exec(inner)?.[0] ?? ''
    return { kind: 'tag', start: caret - text.length, text, metric }
  }
  const text = METRIC.exec(before)?.[0] ?? ''
  return { kind: 'metric', start: caret - text.length, text }
}

/** The query with the token replaced by a choice, and where the caret stands then. */
export function complete(query: string, token: Token, choice: string) {
  const end = token.start + token.text.length
  const rest = query.slice(end)
  const written =
    token.kind === 'metric'
      ? choice
      : token.kind === 'tag'
        ? `${choice}=""`
        : `${choice}${rest.startsWith('"') ? '' : '"'}`
  const caret = token.start + written.length + (token.kind === 'tag' ? -1 : 0)
  // The rest of a name that the caret stood in goes too.
  const left = token.kind === 'metric' ? rest.replace(/^[\w:.]+/, '') : rest
  return { query: query.slice(0, token.start) + written + left, caret }
}
