import type { Variable } from '@/api/generated/types.gen'

/** The current value or values of a variable. */
export type Chosen = {
  /** All known values when `all` is set. */
  values: string[]
  all: boolean
  /** Whether "all" includes values that are not listed, as for a tag. */
  open: boolean
  /** What "all" stands for, where it is not all values. */
  allValue?: string | null
  /** Whether a single value is part of a query or pattern, as one that somebody typed. */
  raw?: boolean
  /** What is shown for the values, where it is not the values. */
  texts?: Record<string, string>
}

/** The values of each variable, by name. */
export type Scope = ReadonlyMap<string, Chosen>

/** "All" in the URL. */
export const ALL = '$__all'

export const single = (value: string): Chosen => ({ values: [value], all: false, open: false })

// `$name`, `${name}`, `${name.field}` (of `__user`), `${name:format}`, `[[name]]`, `[[name:format]]`.
const REFERENCE =
  /\$(?:\{([a-zA-Z_]\w*(?:\.\w+)?)(?::([\w:]+))?\}|([a-zA-Z_]\w*))|\[\[([a-zA-Z_]\w*)(?::(\w+))?\]\]/g
const MATCHER = /(=~|!~|!=|=)(\s*)(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)')/
// In one pass, so that a value that contains a $ is not read as another variable.
const MATCHER_OR_REFERENCE = new RegExp(`${MATCHER.source}|${REFERENCE.source}`, 'g')

const escapePattern = (text: string) => text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')
const escapeText = (text: string, quote: string) =>
  text.replace(/\\/g, '\\\\').replace(/\n/g, '\\n').replaceAll(quote, `\\${quote}`)
const readEscapes = (text: string) =>
  text.replace(/\\(.)/g, (_, char: string) => (char === 'n' ? '\n' : char))

type Groups = (string | undefined)[]
/** The name and the format of a reference, from the groups of `REFERENCE`. */
const named = ([braced, form, bare, old, oldForm]: Groups) => {
  const full = braced ?? bare ?? old ?? ''
  return { full, name: full.split('.')[0] ?? full, format: form ?? oldForm }
}

/** What a reference stands for; a field that is not known by itself is its variable's. */
const chosenOf = (scope: Scope, { full, name }: ReturnType<typeof named>) =>
  scope.get(full) ?? scope.get(name)

/** The names of the variables that a text refers to. */
export const namesIn = (text: string): string[] =>
  [...text.matchAll(REFERENCE)].map(([, ...groups]) => named(groups).name)

const hasAllValue = ({ all, allValue }: Chosen) =>
  all && allValue !== null && allValue !== undefined

/** A regular expression for the values: one alone, or several as alternatives. */
function patternOf(chosen: Chosen, alone: boolean): string {
  const { values, all, open, raw } = chosen
  if (hasAllValue(chosen)) return chosen.allValue ?? ''
  if (all && open) return '.*'
  const alternation = values.map(raw && values.length === 1 ? String : escapePattern).join('|')
  return values.length > 1 && !alone ? `(${alternation})` : alternation
}

const each =
  (separator: string, write: (value: string) => string = String) =>
  (chosen: Chosen) =>
    hasAllValue(chosen) ? (chosen.allValue ?? '') : chosen.values.map(write).join(separator)
const quoted = (mark: string) => (value: string) =>
  `${mark}${value.replaceAll(mark, `\\${mark}`)}${mark}`

const textsOf = ({ values, texts }: Chosen) => values.map((value) => texts?.[value] ?? value)

const dateOf = ({ values }: Chosen, form: string | undefined) => {
  const date = new Date(Number(values[0]))
  if (Number.isNaN(date.getTime())) return values.join(',')
  return form === 'seconds' ? String(Math.floor(date.getTime() / 1000)) : date.toISOString()
}

const FORMATS: Record<string, (chosen: Chosen, name: string, form?: string) => string> = {
  regex: (chosen) => patternOf(chosen, false),
  csv: each(','),
  pipe: each('|'),
  raw: each(','),
  distributed: (chosen, name) =>
    chosen.values.map((value, index) => (index ? `${name}=${value}` : value)).join(','),
  doublequote: each(',', quoted('"')),
  singlequote: each(',', quoted("'")),
  sqlstring: each(',', (value) => `'${value.replaceAll("'", "''")}'`),
  json: ({ values }) => JSON.stringify(values.length > 1 ? values : values[0]),
  glob: (chosen) => (chosen.values.length > 1 ? `{${chosen.values.join(',')}}` : each(',')(chosen)),
  lucene: each(' OR ', quoted('"')),
  percentencode: (chosen) => encodeURIComponent(each(',')(chosen)),
  uriencode: (chosen) => encodeURI(each(',')(chosen)),
  queryparam: (chosen, name) => queryParams(name, chosen),
  text: (chosen) => (chosen.all ? 'All' : textsOf(chosen).join(' + ')),
  date: (chosen, _, form) => dateOf(chosen, form),
}

/** A variable as parameters of a URL: `var-host=a&var-host=b`. */
export const queryParams = (name: string, { values, all }: Chosen): string =>
  (all ? [ALL] : values)
    .map((value) => `var-${encodeURIComponent(name)}=${encodeURIComponent(value)}`)
    .join('&')

const formatted = (chosen: Chosen, name: string, format: string): string => {
  const [kind = '', form] = format.split(':')
  return (FORMATS[kind] ?? each('|'))(chosen, name, form)
}

/** Replaces each known reference. */
function replaceReferences(
  text: string,
  scope: Scope,
  write: (chosen: Chosen, format: string | undefined, name: string) => string,
): string {
  return text.replace(REFERENCE, (whole, ...rest) => {
    const found = named(rest.slice(0, 5))
    const chosen = chosenOf(scope, found)
    return chosen ? write(chosen, found.format, found.name) : whole
  })
}

export function refersTo(text: string, scope: Scope): Chosen[] {
  return namesIn(text).flatMap((name) => scope.get(name) ?? [])
}

const isMany = ({ values, all }: Chosen) => all || values.length > 1

/**
 * A query with its variables filled in. Several values inside a matcher become a pattern, and
 * `=` becomes `=~`; values are escaped for their context.
 */
export function fillQuery(text: string, scope: Scope): string {
  return text.replace(
    MATCHER_OR_REFERENCE,
    (whole, operator?: string, space = '', double?: string, singled?: string, ...rest) => {
      if (operator) {
        const content = double ?? singled ?? ''
        const found = refersTo(content, scope)
        if (!found.length) return whole
        const quote = double === undefined ? "'" : '"'
        return fillMatcher(operator, space, content, quote, found.some(isMany), scope)
      }
      const found = named(rest.slice(0, 5))
      const chosen = chosenOf(scope, found)
      return chosen ? formatted(chosen, found.name, found.format ?? 'pipe') : whole
    },
  )
}

function fillMatcher(
  operator: string,
  space: string,
  content: string,
  quote: string,
  many: boolean,
  scope: Scope,
): string {
  const turns = many && (operator === '=' || operator === '!=')
  const pattern = turns || operator.includes('~')
  const written = turns ? (operator === '=' ? '=~' : '!~') : operator
  const literal = (text: string) =>
    turns ? escapeText(escapePattern(readEscapes(text)), quote) : text
  let at = 0
  let filled = ''
  for (const match of content.matchAll(REFERENCE)) {
    const [whole, ...groups] = match
    const found = named(groups)
    const { name, format } = found
    const chosen = chosenOf(scope, found)
    if (!chosen) continue
    filled += literal(content.slice(at, match.index))
    const value = format
      ? formatted(chosen, name, format)
      : pattern
        ? patternOf(chosen, whole === content)
        : (chosen.values[0] ?? '')
    filled += escapeText(value, quote)
    at = match.index + whole.length
  }
  return `${written}${space}${quote}${filled}${literal(content.slice(at))}${quote}`
}

/** A title or an alias with its variables filled in. */
export function fillText(text: string, scope: Scope): string {
  return replaceReferences(text, scope, (chosen, format, name) => {
    if (format) return formatted(chosen, name, format)
    return chosen.all ? 'All' : listed(textsOf(chosen))
  })
}

const LISTED = 4

/** A readable list of values: of many, the first few and how many more. */
export function listed(values: string[]): string {
  const more = values.length - LISTED
  return [...values.slice(0, LISTED), ...(more > 0 ? [`${more} more`] : [])].join(' + ')
}

/** A URL with its variables filled in. */
export const fillUrl = (url: string, scope: Scope) =>
  replaceReferences(url, scope, (chosen, format, name) =>
    format ? formatted(chosen, name, format) : encodeURIComponent(chosen.values.join(',')),
  )

type TaggedQuery = { query: string; tags?: Record<string, unknown> }

/**
 * A query and its tags with the variables filled in. A tag takes only one value: several go
 * into a plain selector as a matcher, and "all" of an open set omits the tag.
 */
export function fillTaggedQuery<T extends TaggedQuery>(request: T, scope: Scope): T {
  let query = fillQuery(request.query, scope)
  const tags: Record<string, string> = {}
  for (const [key, given] of Object.entries(request.tags ?? {})) {
    const value = String(given)
    const found = refersTo(value, scope)
    if (!found.some(isMany)) {
      tags[key] = replaceReferences(value, scope, ({ values }) => values[0] ?? '')
    } else if (!found.every(({ all, open }) => all && open)) {
      const matcher = `${key}${fillMatcher('=', '', value.replaceAll('"', '\\"'), '"', true, scope)}`
      const bare = /^\s*[\w:.]+\s*$/.test(query)
      const selector = /^(\s*[\w:.]*\s*\{)([^{}]*)(\}\s*)$/.exec(query)
      if (bare) query = `${query.trim()}{${matcher}}`
      else if (selector) {
        query = `${selector[1]}${selector[2]}${selector[2]?.trim() ? ',' : ''}${matcher}${selector[3]}`
      } else tags[key] = found.flatMap(({ values }) => values).join('|')
    }
  }
  return { ...request, query, tags }
}

/** A number of seconds as a PromQL duration. */
function duration(seconds: number): string {
  for (const [unit, size] of [
    ['d', 86_400],
    ['h', 3600],
    ['m', 60],
  ] as const) {
    if (seconds >= size && seconds % size === 0) return `${seconds / size}${unit}`
  }
  return `${seconds}s`
}

/**
 * The variables of the range. The server fills `$__interval` and `$__rate_interval`: it knows at
 * which interval a metric is sent.
 */
export function timeScope(start: number, end: number): Scope {
  const range = Math.max(1, Math.round((end - start) / 1000))
  return new Map([
    ['__range', single(duration(range))],
    ['__range_s', single(String(range))],
    ['__range_ms', single(String(range * 1000))],
    ['__from', single(String(start))],
    ['__to', single(String(end))],
  ])
}

type Choosable = Pick<Variable, 'type'> &
  Partial<Pick<Variable, 'multi' | 'includeAll' | 'allValue' | 'default' | 'texts'>>

/** Types whose values the server lists. */
export const isListed = ({ type }: Pick<Variable, 'type'>) => type === 'tag' || type === 'query'

/** The names of the variables that the values of one depend on. */
export const sourcesOf = ({ query, regex, metric }: Variable): string[] =>
  [query, regex, metric].flatMap((text) => (text ? namesIn(text) : []))

/**
 * The chosen values of a variable: those in the URL, else those of its default that exist, else all
 * or the first. A default that does not exist, such as a host of another system, is ignored; so is
 * what the URL says of a variable that depends on others: it belonged to what was chosen before.
 */
export function choose(
  variable: Choosable,
  options: string[],
  requested: string[],
  depends = false,
): Chosen {
  const open = isListed(variable)
  const exists = (value: string) =>
    !options.length || value === ALL || value === 'All' || options.includes(value)
  const asked = depends ? requested.filter(exists) : requested
  const wanted = asked.length ? asked : (variable.default ?? []).filter(exists)
  const wantsAll = wanted.includes(ALL) || (wanted.includes('All') && !options.includes('All'))
  const values = wanted.filter((value) => value !== ALL && (value !== 'All' || !wantsAll))
  const { allValue, texts, includeAll, multi } = variable
  const more = {
    ...(allValue ? { allValue } : {}),
    ...(texts && Object.keys(texts).length ? { texts } : {}),
  }
  if (includeAll && (wantsAll || values.length === 0)) {
    return { values: options, all: true, open, ...more }
  }
  const some = values.length ? values : options.slice(0, 1)
  const raw = !open && !multi && !includeAll
  return {
    values: multi ? some : some.slice(0, 1),
    all: false,
    open,
    ...more,
    ...(raw ? { raw } : {}),
  }
}

const NICE = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200]

/** The interval of which about `count` fit into the range (ms), at least `least` (ms). */
export function autoInterval(range: number, count: number, least: number): string {
  const wanted = Math.max(range / Math.max(1, count), least) / 1000
  return duration(NICE.find((step) => step >= wanted) ?? Math.ceil(wanted / 86_400) * 86_400)
}
