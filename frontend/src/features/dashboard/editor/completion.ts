/** What is being typed at the caret of a query, and what may complete it. */
export type Token =
  | { kind: 'metric'; start: number; text: string }
  | { kind: 'tag'; start: number; text: string; metric: string }
  | { kind: 'value'; start: number; text: string; metric: string; tag: string }

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
