import { giveUp } from './unfinished-patterns'

/**
 * Regular expressions that users write, in the browser: RE2's syntax and meaning, as on the server,
 * in time that grows with pattern × text. A `RegExp` can take for ever, and stop the tab.
 *
 * A pattern becomes a program whose threads advance together, one character at a time (Thompson's
 * construction, with the captures of Pike). No thread is in one place twice, so nothing is tried
 * again. Look-around and references to groups need more than that: they are refused, as by RE2.
 */

/** What is wrong with a pattern, and where. */
export class PatternError extends Error {}

type Test = (code: number) => boolean
type Condition = 'start' | 'end' | 'lineStart' | 'lineEnd' | 'word' | 'noWord'
type Instruction =
  | { op: 'character'; test: Test }
  | { op: 'split'; first: number; second: number }
  | { op: 'jump'; to: number }
  | { op: 'save'; slot: number }
  | { op: 'assert'; condition: Condition }
  | { op: 'match' }

type Node =
  | { type: 'character'; test: Test }
  | { type: 'assert'; condition: Condition }
  | { type: 'sequence'; parts: Node[] }
  | { type: 'choice'; parts: Node[] }
  | { type: 'group'; part: Node; number: number }
  | { type: 'repeat'; part: Node; least: number; most: number; lazy: boolean }

type Flags = { i: boolean; s: boolean; m: boolean; U: boolean }

const MOST_REPEATS = 1000
const MOST_DEPTH = 200
/** Instructions of a program; the longest pattern of a query fits. */
const MOST_INSTRUCTIONS = 30_000
/** Steps of one search, some tens of milliseconds; what takes more matches nothing, and is said. */
const MOST_STEPS = 1_000_000

const within = (code: number, low: number, high: number) => code >= low && code <= high
const isDigit: Test = (code) => within(code, 48, 57)
const isLower: Test = (code) => within(code, 97, 122)
const isUpper: Test = (code) => within(code, 65, 90)
const isAlpha: Test = (code) => isLower(code) || isUpper(code)
const isWord: Test = (code) => isAlpha(code) || isDigit(code) || code === 95
const isSpace: Test = (code) => code === 32 || (within(code, 9, 13) && code !== 11)
const not =
  (test: Test): Test =>
  (code) =>
    !test(code)
const PERL: Record<string, Test> = {
  d: isDigit,
  D: not(isDigit),
  w: isWord,
  W: not(isWord),
  s: isSpace,
  S: not(isSpace),
}
const POSIX: Record<string, Test> = {
  alnum: (code) => isAlpha(code) || isDigit(code),
  alpha: isAlpha,
  ascii: (code) => code < 128,
  blank: (code) => code === 9 || code === 32,
  cntrl: (code) => code < 32 || code === 127,
  digit: isDigit,
  graph: (code) => within(code, 33, 126),
  lower: isLower,
  print: (code) => within(code, 32, 126),
  punct: (code) => within(code, 33, 126) && !isAlpha(code) && !isDigit(code),
  space: (code) => within(code, 9, 13) || code === 32,
  upper: isUpper,
  word: isWord,
  xdigit: (code) => isDigit(code) || within(code, 65, 70) || within(code, 97, 102),
}
const CONTROL: Record<string, number> = { a: 7, f: 12, t: 9, n: 10, r: 13, v: 11 }
const ASSERTED: Record<string, Condition> = { A: 'start', z: 'end', b: 'word', B: 'noWord' }

/** The same character in the other cases. */
function casesOf(code: number): Set<number> {
  const text = String.fromCodePoint(code)
  const cases = [text, text.toLowerCase(), text.toUpperCase(), text.toUpperCase().toLowerCase()]
  return new Set(cases.filter((one) => [...one].length === 1).map((one) => one.codePointAt(0) ?? 0))
}

const folded =
  (test: Test): Test =>
  (code) => {
    for (const one of casesOf(code)) if (test(one)) return true
    return false
  }

class Parser {
  private readonly source: string[]
  private at = 0
  private depth = 0
  groups = 0
  readonly names = new Map<string, number>()
  private flags: Flags

  constructor(text: string, flags: string) {
    this.source = Array.from(text)
    const has = (flag: string) => flags.includes(flag)
    this.flags = { i: has('i'), s: has('s'), m: has('m'), U: false }
  }

  parse(): Node {
    const node = this.choice()
    if (this.at < this.source.length) throw this.wrong('a ) has no (')
    return node
  }

  private wrong(what: string): PatternError {
    return new PatternError(`${what} (character ${this.at + 1} of the pattern)`)
  }

  private get next(): string {
    return this.source[this.at] ?? ''
  }

  private take(text: string): boolean {
    const found = this.source.slice(this.at, this.at + text.length).join('') === text
    if (found) this.at += text.length
    return found
  }

  private choice(): Node {
    if (++this.depth > MOST_DEPTH) throw this.wrong('the groups are nested too deep')
    // A flag that is set inside of a group ends with it.
    const flags = this.flags
    const parts = [this.sequence()]
    while (this.take('|')) parts.push(this.sequence())
    this.flags = flags
    this.depth--
    return parts.length === 1 ? (parts[0] as Node) : { type: 'choice', parts }
  }

  private sequence(): Node {
    const parts: Node[] = []
    while (this.at < this.source.length && this.next !== '|' && this.next !== ')') {
      if (this.take('\\Q')) {
        while (this.at < this.source.length && !this.take('\\E')) parts.push(this.literal())
        const last = parts.pop()
        if (last) parts.push(this.repeated(last))
      } else {
        const atom = this.atom()
        if (atom) parts.push(this.repeated(atom))
      }
    }
    return { type: 'sequence', parts }
  }

  private literal(): Node {
    const code = this.next.codePointAt(0) ?? 0
    this.at++
    return this.one((other) => other === code)
  }

  private one(test: Test): Node {
    return { type: 'character', test: this.flags.i ? folded(test) : test }
  }

  private repeated(atom: Node): Node {
    let node = atom
    let repeats = 0
    for (;;) {
      const bounds = this.bounds()
      if (!bounds) return node
      if (repeats++) throw this.wrong('a repetition is repeated')
      const lazy = this.take('?') !== this.flags.U
      node = { type: 'repeat', part: node, least: bounds[0], most: bounds[1], lazy }
    }
  }

  private bounds(): [number, number] | undefined {
    if (this.take('*')) return [0, Number.POSITIVE_INFINITY]
    if (this.take('+')) return [1, Number.POSITIVE_INFINITY]
    if (this.take('?')) return [0, 1]
    // Braces that are no repetition stand for themselves.
    const found = /^\{(\d{1,9})(,(\d{0,9}))?\}/.exec(
      this.source.slice(this.at, this.at + 22).join(''),
    )
    if (!found) return undefined
    const least = Number(found[1])
    const most = found[2] === undefined ? least : found[3] ? Number(found[3]) : Infinity
    if (least > MOST_REPEATS || (most > MOST_REPEATS && most !== Infinity) || most < least)
      throw this.wrong(`{} counts to ${MOST_REPEATS} at most, and upwards`)
    this.at += found[0].length
    return [least, most]
  }

  private atom(): Node | undefined {
    const { s, m } = this.flags
    if (/[*+?]/.test(this.next)) throw this.wrong(`there is nothing for ${this.next} to repeat`)
    if (this.take('(')) return this.group()
    if (this.take('[')) return this.one(this.characters())
    if (this.take('.')) return { type: 'character', test: s ? () => true : (code) => code !== 10 }
    if (this.take('^')) return { type: 'assert', condition: m ? 'lineStart' : 'start' }
    if (this.take('$')) return { type: 'assert', condition: m ? 'lineEnd' : 'end' }
    if (this.next !== '\\') return this.literal()
    const condition = ASSERTED[this.source[this.at + 1] ?? '']
    if (!condition) return this.one(this.escaped())
    this.at += 2
    return { type: 'assert', condition }
  }

  private group(): Node | undefined {
    if (!this.take('?')) return this.captured()
    const named = /^P?<([A-Za-z0-9_]+)>/.exec(this.source.slice(this.at, this.at + 200).join(''))
    if (named) {
      this.at += named[0].length
      const name = named[1] ?? ''
      if (!this.names.has(name)) this.names.set(name, this.groups + 1)
      return this.captured()
    }
    const found = /^([imsU]*)(?:-([imsU]+))?([:)])/.exec(
      this.source.slice(this.at, this.at + 20).join(''),
    )
    if (!found) throw this.wrong('look-around and other (?…) are not in RE2')
    this.at += found[0].length
    const flags = { ...this.flags }
    for (const flag of found[1] ?? '') flags[flag as keyof Flags] = true
    for (const flag of found[2] ?? '') flags[flag as keyof Flags] = false
    const before = this.flags
    this.flags = flags
    if (found[3] === ')') return undefined
    const node = this.closed()
    this.flags = before
    return node
  }

  private captured(): Node {
    const number = ++this.groups
    return { type: 'group', part: this.closed(), number }
  }

  private closed(): Node {
    const node = this.choice()
    if (!this.take(')')) throw this.wrong('a ( has no )')
    return node
  }

  /** After a backslash: one character, or a class of them. */
  private escaped(): Test {
    this.at++
    const sign = this.next
    const perl = PERL[sign]
    if (perl) {
      this.at++
      return perl
    }
    if (sign === 'p' || sign === 'P') return this.property()
    const code = this.code()
    return (other) => other === code
  }

  private property(): Test {
    const found = /^([pP])(?:\{(\^?)(\w+)\}|(\w))/.exec(
      this.source.slice(this.at, this.at + 60).join(''),
    )
    const name = found?.[3] ?? found?.[4] ?? ''
    let expression: RegExp | undefined
    for (const each of [name, `Script=${name}`]) {
      try {
        expression ??= new RegExp(`^\\p{${each}}$`, 'u')
      } catch {
        // No such category: perhaps a script.
      }
    }
    if (!found || !expression) throw this.wrong('no such class of Unicode')
    this.at += found[0].length
    const known = expression
    const test: Test = (code) => known.test(String.fromCodePoint(code))
    return (found[1] === 'P') !== (found[2] === '^') ? not(test) : test
  }

  /** A character that is written as an escape. */
  private code(): number {
    const sign = this.next
    const written = this.source.slice(this.at, this.at + 12).join('')
    const hexadecimal = /^x(?:([0-9A-Fa-f]{2})|\{([0-9A-Fa-f]{1,8})\})/.exec(written)
    const octal = /^0[0-7]{0,2}|^[1-7][0-7]{1,2}/.exec(written)
    const control = CONTROL[sign]
    let code: number
    if (hexadecimal) {
      this.at += hexadecimal[0].length
      code = Number.parseInt(hexadecimal[1] ?? hexadecimal[2] ?? '', 16)
    } else if (octal) {
      this.at += octal[0].length
      code = Number.parseInt(octal[0], 8)
    } else if (control !== undefined) {
      this.at++
      code = control
    } else {
      if (sign === '' || /[A-Za-z0-9]/.test(sign) || (sign.codePointAt(0) ?? 0) > 127)
        throw this.wrong(`\\${sign} is no escape in RE2`)
      this.at++
      code = sign.codePointAt(0) ?? 0
    }
    if (code > 0x10ffff) throw this.wrong('there is no such character')
    return code
  }

  /** A class in brackets. */
  private characters(): Test {
    const negated = this.take('^')
    const tests: Test[] = []
    let first = true
    while (first || this.next !== ']') {
      if (this.at >= this.source.length) throw this.wrong('a [ has no ]')
      first = false
      const posix = /^\[:(\^?)(\w+):\]/.exec(this.source.slice(this.at, this.at + 14).join(''))
      if (posix) {
        const test = POSIX[posix[2] ?? '']
        if (!test) throw this.wrong('no such class')
        this.at += posix[0].length
        tests.push(posix[1] ? not(test) : test)
        continue
      }
      const sign = this.source[this.at + 1] ?? ''
      if (this.next === '\\' && (PERL[sign] || sign === 'p' || sign === 'P')) {
        tests.push(this.escaped())
        continue
      }
      const low = this.member()
      let high = low
      if (this.next === '-' && (this.source[this.at + 1] ?? ']') !== ']') {
        this.at++
        high = this.member()
      }
      if (high < low) throw this.wrong('a range goes backwards')
      tests.push((code) => within(code, low, high))
    }
    this.at++
    const any: Test = (code) => tests.some((test) => test(code))
    // Cases are folded before a class is negated.
    const test = this.flags.i ? folded(any) : any
    return negated ? not(test) : test
  }

  private member(): number {
    if (this.next === '\\') {
      this.at++
      return this.code()
    }
    const code = this.next.codePointAt(0) ?? 0
    this.at++
    return code
  }
}

function compiled(root: Node): Instruction[] {
  const program: Instruction[] = []
  const add = (instruction: Instruction) => {
    if (program.length >= MOST_INSTRUCTIONS)
      throw new PatternError('the pattern is too large: repeat less')
    return program.push(instruction) - 1
  }
  const split = (lazy: boolean) => {
    const at = add({ op: 'split', first: 0, second: 0 })
    return (inside: number, outside: number) => {
      const [first, second] = lazy ? [outside, inside] : [inside, outside]
      program[at] = { op: 'split', first, second }
    }
  }
  /** `times`: how often repetitions around it repeat a node; RE2 bounds the product. */
  const emit = (node: Node, times = 1): void => {
    switch (node.type) {
      case 'character':
        add({ op: 'character', test: node.test })
        return
      case 'assert':
        add({ op: 'assert', condition: node.condition })
        return
      case 'sequence':
        for (const part of node.parts) emit(part, times)
        return
      case 'group':
        add({ op: 'save', slot: 2 * node.number })
        emit(node.part, times)
        add({ op: 'save', slot: 2 * node.number + 1 })
        return
      case 'choice': {
        const jumps: number[] = []
        node.parts.forEach((part, index) => {
          if (index === node.parts.length - 1) {
            emit(part, times)
            return
          }
          const choose = split(false)
          const from = program.length
          emit(part, times)
          jumps.push(add({ op: 'jump', to: 0 }))
          choose(from, program.length)
        })
        for (const jump of jumps) program[jump] = { op: 'jump', to: program.length }
        return
      }
      case 'repeat': {
        const { part, least, most, lazy } = node
        const repeated = times * Math.max(1, most === Number.POSITIVE_INFINITY ? least : most)
        if (repeated > MOST_REPEATS)
          throw new PatternError(`repetitions of repetitions count to ${MOST_REPEATS} at most`)
        for (let count = 0; count < least; count++) emit(part, repeated)
        if (most === Number.POSITIVE_INFINITY) {
          const again = program.length
          const choose = split(lazy)
          emit(part, repeated)
          add({ op: 'jump', to: again })
          choose(again + 1, program.length)
          return
        }
        const chosen: [(inside: number, outside: number) => void, number][] = []
        for (let count = least; count < most; count++) {
          chosen.push([split(lazy), program.length])
          emit(part, repeated)
        }
        for (const [choose, inside] of chosen) choose(inside, program.length)
      }
    }
  }
  emit(root)
  add({ op: 'match' })
  return program
}

type Thread = { at: number; slots: (number | undefined)[] }

/** A pattern that can be searched for in texts. */
export class Pattern {
  private readonly program: Instruction[]
  private readonly names: ReadonlyMap<string, number>
  private readonly groups: number
  private tooMuch = false

  /** `flags`: any of i, m and s. Throws PatternError. */
  constructor(
    private readonly source: string,
    flags = '',
  ) {
    const parser = new Parser(source, flags)
    this.program = compiled(parser.parse())
    this.names = parser.names
    this.groups = parser.groups
  }

  /** Whether it matches anywhere in a text. */
  test(text: string): boolean {
    return this.search(text, false) !== undefined
  }

  /** The text with the first match replaced: `$1`, `$<name>`, `$&` and `$$` as in JavaScript. */
  replace(text: string, replacement: string): string {
    const found = this.search(text, true)
    if (!found) return text
    const characters = Array.from(text)
    const cut = (from?: number, to?: number) => characters.slice(from, to).join('')
    const group = (number = -1) =>
      found[2 * number] === undefined ? '' : cut(found[2 * number], found[2 * number + 1])
    const put = replacement.replace(
      /\$(?:(\$)|(&)|(\d{1,2})|<(\w+)>)/g,
      (all, dollar?: string, whole?: string, digits = '', name?: string) => {
        if (dollar) return '$'
        if (whole) return group(0)
        if (name !== undefined) return group(this.names.get(name))
        for (const length of [2, 1]) {
          const number = Number(digits.slice(0, length))
          if (number > 0 && number <= this.groups) return group(number) + digits.slice(length)
        }
        return all
      },
    )
    return cut(0, found[0]) + put + cut(found[1])
  }

  /** The slots of the first match; undefined where there is none. */
  private search(text: string, captures: boolean): (number | undefined)[] | undefined {
    // A search that was given up once would be given up again.
    if (this.tooMuch) return undefined
    const { program } = this
    const codes = Array.from(text, (one) => one.codePointAt(0) ?? 0)
    const seen = new Uint32Array(program.length)
    let steps = 0
    let found: (number | undefined)[] | undefined
    let threads: Thread[] = []
    for (let position = 0; position <= codes.length; position++) {
      if (found && threads.length === 0) break
      const code = codes[position]
      // A later start has less precedence, and none once something is found.
      if (!found) threads.push({ at: 0, slots: [position] })
      const advanced: Thread[] = []
      cut: for (const started of threads) {
        const stack = [started]
        for (let thread = stack.pop(); thread; thread = stack.pop()) {
          const { at, slots } = thread
          if (seen[at] === position + 1) continue
          seen[at] = position + 1
          if (++steps > MOST_STEPS) {
            this.tooMuch = true
            giveUp(this.source)
            return undefined
          }
          const instruction = program[at] as Instruction
          switch (instruction.op) {
            case 'character':
              if (code !== undefined && instruction.test(code)) advanced.push({ at: at + 1, slots })
              break
            case 'jump':
              stack.push({ at: instruction.to, slots })
              break
            case 'split':
              stack.push({ at: instruction.second, slots }, { at: instruction.first, slots })
              break
            case 'save': {
              const changed = captures ? [...slots] : slots
              if (captures) changed[instruction.slot] = position
              stack.push({ at: at + 1, slots: changed })
              break
            }
            case 'assert':
              if (holds(instruction.condition, codes, position)) stack.push({ at: at + 1, slots })
              break
            case 'match':
              found = [...slots]
              found[1] = position
              if (!captures) return found
              // What has less precedence is cut off.
              break cut
          }
        }
      }
      threads = advanced
    }
    return found
  }
}

function holds(condition: Condition, codes: number[], position: number): boolean {
  const before = codes[position - 1]
  const after = codes[position]
  switch (condition) {
    case 'start':
      return before === undefined
    case 'end':
      return after === undefined
    case 'lineStart':
      return before === undefined || before === 10
    case 'lineEnd':
      return after === undefined || after === 10
    default: {
      const edge =
        (before !== undefined && isWord(before)) !== (after !== undefined && isWord(after))
      return edge === (condition === 'word')
    }
  }
}

const MOST_KEPT = 500
const kept = new Map<string, Pattern | null>()

/** A pattern, compiled once; null where it is none. */
export function patternOf(source: string, flags = ''): Pattern | null {
  const key = `${flags}/${source}`
  let found = kept.get(key)
  if (found === undefined) {
    try {
      found = new Pattern(source, flags)
    } catch (error) {
      if (!(error instanceof PatternError)) throw error
      found = null
    }
    if (kept.size >= MOST_KEPT) kept.clear()
    kept.set(key, found)
  }
  return found
}

/** Why a text is no pattern; undefined where it is one. */
export function patternError(source: string): string | undefined {
  try {
    new Pattern(source)
  } catch (error) {
    if (error instanceof PatternError) return error.message
    throw error
  }
  return undefined
}
