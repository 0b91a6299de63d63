/** The current value or values of a variable. */
export type Chosen = {
  /** All known values when `all` is set. */
  values: string[]
  all: boolean
  /** Whether "all" includes values that are not listed, as for a tag. */
  open: boolean
}

/** The values of each variable, by name. */
export type Scope = ReadonlyMap<string, Chosen>

/** "All" in the URL. */
export const ALL = '$__all'

export const single = (value: string): Chosen => ({ values: [value], all: false, open: false })

const REFERENCE = /\$(?:\{([a-zA-Z_]\w*)(?::(\w+))?\}|([a-zA-Z_]\w*))/g
const MATCHER = /(=~|!~|!=|=)(\s*)(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)')/
// In one pass, so that a value that contains a $ is not read as another variable.
const MATCHER_OR_REFERENCE = new RegExp(`${MATCHER.source}|${REFERENCE.source}`, 'g')

const escapePattern = (text: string) => text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')
const escapeText = (text: string, quote: string) =>
  text.replace(/\\/g, '\\\\').replace(/\n/g, '\\n').replaceAll(quote, `\\${quote}`)
const readEscapes = (text: string) =>
  text.replace(/\\(.)/g, (_, char: string) => (char === 'n' ? '\n' : char))

/** A regular expression for the values: one alone, or several as alternatives. */
function patternOf({ values, all, open }: Chosen, alone: boolean): string {
  if (all && open) return '.*'
  const alternation = values.map(escapePattern).join('|')
  return values.length > 1 && !alone ? `(${alternation})` : alternation
}

const FORMATS: Record<string, (chosen: Chosen) => string> = {
  regex: (chosen) => patternOf(chosen, false),
  csv: ({ values }) => values.join(','),
  pipe: ({ values }) => values.join('|'),
  raw: ({ values }) => values.join(','),
}

/** Replaces each known `$name`, `${name}` and `${name:format}`. */
function replaceReferences(
  text: string,
  scope: Scope,
  write: (chosen: Chosen, format: string | undefined) => string,
): string {
  return text.replace(REFERENCE, (whole, braced?: string, format?: string, bare?: string) => {
    const chosen = scope.get(braced ?? bare ?? '')
    return chosen ? write(chosen, format) : whole
  })
}

export function refersTo(text: string, scope: Scope): Chosen[] {
  return [...text.matchAll(REFERENCE)].flatMap(
    ([, braced, , bare]) => scope.get(braced ?? bare ?? '') ?? [],
  )
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
      const [braced, format, bare] = rest as (string | undefined)[]
      const chosen = scope.get(braced ?? bare ?? '')
      return chosen ? (FORMATS[format ?? 'pipe'] ?? FORMATS.pipe ?? String)(chosen) : whole
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
    const [whole, braced, format, bare] = match
    const chosen = scope.get(braced ?? bare ?? '')
    if (!chosen) continue
    filled += literal(content.slice(at, match.index))
    const value = format
      ? (FORMATS[format] ?? FORMATS.pipe ?? String)(chosen)
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
  return replaceReferences(text, scope, (chosen, format) => {
    const written = format ? FORMATS[format] : undefined
    if (written) return written(chosen)
    return chosen.all ? 'All' : listed(chosen.values)
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
  replaceReferences(url, scope, ({ values }) => encodeURIComponent(values.join(',')))

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
  ])
}

type Choosable = {
  type: 'tag' | 'list' | 'interval'
  multi?: boolean
  includeAll?: boolean
  default?: string[]
}

/**
 * The chosen values of a variable: those in the URL, else those of its default that exist, else all
 * or the first. A default that does not exist, such as a host of another system, is ignored.
 */
export function choose(variable: Choosable, options: string[], requested: string[]): Chosen {
  const open = variable.type === 'tag'
  const defaults = (variable.default ?? []).filter(
    (value) => !options.length || value === ALL || value === 'All' || options.includes(value),
  )
  const wanted = requested.length ? requested : defaults
  const wantsAll = wanted.includes(ALL) || (wanted.includes('All') && !options.includes('All'))
  const values = wanted.filter((value) => value !== ALL && (value !== 'All' || !wantsAll))
  if (variable.includeAll && (wantsAll || values.length === 0)) {
    return { values: options, all: true, open }
  }
  const some = values.length ? values : options.slice(0, 1)
  return { values: variable.multi ? some : some.slice(0, 1), all: false, open }
}
