import { quote, writeKey, writeSelector } from '@/lib/selectors'
import { FUNCTIONS } from './functions'

/** What is being typed at the caret of a query, and what may complete it. */
export type Token =
  | { kind: 'none'; start: number; text: '' }
  | { kind: 'metric'; start: number; text: string; quoted?: boolean }
  | { kind: 'tag'; start: number; text: string; metric: string }
  | { kind: 'label'; start: number; text: string; metric: string }
  | { kind: 'value'; start: number; text: string; metric: string; tag: string }

/** Functions whose name starts with a text, with their signature. */
export function functionsFor(text: string): { text: string; note: string; help: string }[] {
  if (!text) return []
  return Object.entries(FUNCTIONS)
    .filter(([name]) => name.startsWith(text) && name !== text)
    .map(([name, { signature, help }]) => ({
      text: `${name}(`,
      note: 'function',
      help: `${name}${signature}: ${help}`,
    }))
}

const METRIC = /[a-zA-Z_:][\w:.]*$/
const LIST = '\\b(?:by|without|on|ignoring|group_left|group_right)\\s*\\('
const LABELS = new RegExp(`${LIST}([^)]*)$`, 'i')
const LISTS = new RegExp(`${LIST}[^)]*\\)?`, 'gi')
const OPERATORS = new Set(['and', 'or', 'unless', 'bool'])
const KEYWORDS = new Set(['and', 'or', 'unless', 'bool', 'offset', 'inf', 'nan', 'by', 'without'])

export function tokenAt(query: string, caret: number): Token {
  const before = query.slice(0, caret)
  // Braces in a text are not those of a selector.
  const masked = before.replace(/"(?:[^"\\]|\\.)*"?/g, (text) => '_'.repeat(text.length))
  const open = masked.lastIndexOf('{')
  if (open > masked.lastIndexOf('}')) {
    const inner = before.slice(open + 1)
    const metric = METRIC.exec(before.slice(0, open).trimEnd())?.[0] ?? quotedName(inner)
    const value = VALUE.exec(inner)
    if (value) {
      const text = value[3] ?? ''
      const tag = value[1] === undefined ? (value[2] ?? '') : readEscapes(value[1])
      return { kind: 'value', start: caret - text.length, text, metric, tag }
    }
    const opened = /(?:^|,)\s*"((?:[^"\\]|\\.)*)$/.exec(inner)
    if (opened && !metric) {
      const text = opened[1] ?? ''
      return { kind: 'metric', start: caret - text.length - 1, text: `"${text}`, quoted: true }
    }
    if (opened) {
      const text = `"${opened[1] ?? ''}`
      return { kind: 'tag', start: caret - text.length, text, metric }
    }
    const text = /[a-zA-Z_][\w.]*$/.exec(inner)?.[0] ?? ''
    return { kind: 'tag', start: caret - text.length, text, metric }
  }
  const labels = LABELS.exec(before)
  if (labels) {
    const text = /[a-zA-Z_][\w.]*$/.exec(labels[1] ?? '')?.[0] ?? ''
    return { kind: 'label', start: caret - text.length, text, metric: firstMetric(query) }
  }
  const text = METRIC.exec(before)?.[0] ?? ''
  const ahead = before.slice(0, before.length - text.length)
  if (/\[[^\]]*$/.test(ahead) || (!text && ended(ahead))) {
    return { kind: 'none', start: caret, text: '' }
  }
  return { kind: 'metric', start: caret - text.length, text }
}

const VALUE = /(?:"((?:[^"\\]|\\.)*)"|([a-zA-Z_][\w.]*))\s*(?:=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)$/

/** The metric's name that stands in quotes inside the braces. */
const quotedName = (inner: string) =>
  readEscapes(/(?:^|,)\s*"((?:[^"\\]|\\.)*)"\s*(?:,|$)/.exec(inner)?.[1] ?? '')

const readEscapes = (text: string) =>
  text.replace(/\\(.)/g, (_, char: string) => (char === 'n' ? '\n' : char))

/** What has been typed of a name, without its opening quote. */
export const typedOf = ({ text }: Token) =>
  text.startsWith('"') ? readEscapes(text.slice(1)) : text

/** Whether the text ends with a value, which an operator may follow but a name may not. */
function ended(before: string): boolean {
  const last = /([\w:.]+|[\])}"])\s*$/.exec(before)?.[1]
  return last !== undefined && !OPERATORS.has(last.toLowerCase())
}

/** The first name in a query that is neither a function nor a keyword. */
function firstMetric(query: string): string {
  const bare = query.replace(/\{[^}]*\}?|"[^"]*"?|\[[^\]]*\]?/g, ' ').replace(LISTS, ' ')
  for (const [name] of bare.matchAll(/[a-zA-Z_:][\w:.]*(?!\s*\(|[\w:.])/g)) {
    if (!KEYWORDS.has(name.toLowerCase())) return name
  }
  return ''
}

/** The innermost call around the caret, with its signature and help. */
export function callAt(query: string, caret: number): { name: string; hint: string } | null {
  const before = query.slice(0, caret).replace(/"[^"]*"?/g, (text) => '_'.repeat(text.length))
  let depth = 0
  for (let at = before.length - 1; at >= 0; at -= 1) {
    if (before[at] === ')') depth += 1
    if (before[at] !== '(') continue
    if (depth > 0) {
      depth -= 1
      continue
    }
    const head = before.slice(0, at).replace(LISTS, '').trimEnd()
    const name = /[a-z_]\w*$/i.exec(head)?.[0] ?? ''
    const known = FUNCTIONS[name]
    if (known) return { name, hint: `${name}${known.signature}: ${known.help}` }
  }
  return null
}

/** The rest of a token after the caret, which a choice replaces too. */
const REST: Record<Token['kind'], RegExp> = {
  none: /^/,
  metric: /^[\w:.]*/,
  tag: /^[\w.]*/,
  label: /^[\w.]*/,
  value: /^(?:[^"\\]|\\.)*(?=")|^[^"{},]*/,
}

const QUOTED_REST = /^(?:[^"\\{},]|\\.)*"?/

const escapeValue = (text: string) =>
  text.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n')

/** The query with the token replaced by a choice, and the new caret position. */
export function complete(query: string, token: Token, choice: string) {
  const after = query.slice(token.start + token.text.length)
  const rest = after.replace(token.text.startsWith('"') ? QUOTED_REST : REST[token.kind], '')
  const compared = token.kind === 'tag' && /^\s*(?:=~|!~|!=|=)/.test(rest)
  const written =
    token.kind === 'value'
      ? `${escapeValue(choice)}${rest.startsWith('"') ? '' : '"'}`
      : token.kind === 'tag'
        ? `${writeKey(choice)}${compared ? '' : '=""'}`
        : token.kind === 'label'
          ? writeKey(choice)
          : token.kind !== 'metric' || choice.endsWith('(')
            ? choice
            : token.quoted
              ? quote(choice)
              : writeSelector(choice)
  // Between the quotes of a new tag; of one that has a value, after its name.
  const caret = token.start + written.length + (token.kind === 'tag' && !compared ? -1 : 0)
  // A function that is there already keeps its parenthesis.
  const left = written.endsWith('(') && rest.startsWith('(') ? rest.slice(1) : rest
  return { query: query.slice(0, token.start) + written + left, caret }
}
