import { expect, test } from 'vitest'
import { Pattern, PatternError, patternOf } from './re2-pattern'

// Each as google-re2 has it: pattern, text, and the first match with its groups; null: none.
const FOUND: [string, string, (string | undefined)[] | null][] = [
  ['a|ab', 'xab', ['a']],
  ['(a|ab)(c|bcd)(d*)', 'abcd', ['abcd', 'a', 'bcd', '']],
  ['a*?b', 'aab', ['aab']],
  ['(a+)(a*)', 'aaa', ['aaa', 'aaa', '']],
  ['(a+?)(a*)', 'aaa', ['aaa', 'a', 'aa']],
  ['x*', 'aaa', ['']],
  ['(?i)ÄB', 'xäb', ['äb']],
  ['(?i:a)b', 'Ab AB', ['Ab']],
  ['a(?i)b|c', 'C', ['C']],
  ['(?-s).', '\n', null],
  ['(?s).', '\n', ['\n']],
  ['(?m)^b$', 'a\nb\nc', ['b']],
  ['^b$', 'a\nb\nc', null],
  ['(?U)a+', 'aaa', ['a']],
  ['(?P<n>a)(?<m>b)', 'ab', ['ab', 'a', 'b']],
  ['\\bweb\\b', 'a web-1', ['web']],
  ['\\Bb', 'ab', ['b']],
  ['\\d{2,3}', '1 12345', ['123']],
  ['[^a-c]+', 'abcxyz', ['xyz']],
  ['[]a]+', ']a]', [']a]']],
  ['[a\\]-]+', 'x-]', ['-]']],
  ['[[:digit:]x]+', 'a1x2', ['1x2']],
  ['[\\d.]+', 'v1.2', ['1.2']],
  ['\\pL+', '1äö2', ['äö']],
  ['\\p{Greek}', 'aλ', ['λ']],
  ['\\P{Lu}+', 'AbC', ['b']],
  ['[^\\pL]+', 'a1b', ['1']],
  ['\\Qa.b\\E+', 'a.bb', ['a.bb']],
  ['a{,2}', 'a{,2}', ['a{,2}']],
  ['\\x41\\x{1F600}', 'A😀', ['A😀']],
  ['.', '😀', ['😀']],
  ['\\s', '\u00a0', null],
  ['\\w', 'ä', null],
  ['\\Aa\\z', 'a', ['a']],
  ['(a)|(b)', 'b', ['b', undefined, 'b']],
  ['(a{0,2}){2}', 'aaa', ['aaa', 'a']],
]

test.each(FOUND)('%j of %j', (source, text, found) => {
  const pattern = new Pattern(source)
  expect(pattern.test(text)).toBe(found !== null)
  const groups = (found ?? []).map((_, number) => (number ? `$${number}` : '$&'))
  const marked = pattern.replace(text, `<${groups.join('|')}>`)
  const [whole = ''] = found ?? []
  expect(marked).toBe(
    found ? text.replace(whole, () => `<${found.map((one) => one ?? '').join('|')}>`) : text,
  )
})

test.each([
  '(',
  ')',
  'a)',
  '[',
  '[b-a]',
  '*',
  'a**',
  'a{2}{3}',
  '(?=a)',
  '(?!a)',
  '(?<=a)',
  '(a)\\1',
  'a{1001}',
  'a{2,1}',
  '\\',
  '\\y',
  '\\pX',
  '[[:no:]]',
  '(?',
  '(?x)a',
  '(a{100}){100}',
  '((a{0,50}){0,50}){0,5}b',
  '('.repeat(300) + ')'.repeat(300),
])('%j is refused, as by RE2', (source) => {
  expect(() => new Pattern(source)).toThrow(PatternError)
  expect(patternOf(source)).toBeNull()
})

test('it finds what RegExp finds, of any pattern that both have', () => {
  let seed = 16
  const random = (below: number) => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648
    return Math.floor((seed / 2_147_483_648) * below)
  }
  const atoms = ['a', 'b', '.', '[ab]', '[^a]', '^', '$', '\\b']
  const made = (depth: number): string => {
    const kind = random(depth ? 8 : 2)
    if (kind < 4) return atoms[random(atoms.length)] ?? 'a'
    if (kind === 4) return `(${made(depth - 1)}|${made(depth - 1)})`
    if (kind === 5) return `(${made(depth - 1)})`
    // What is empty is not repeated: there JavaScript differs.
    if (kind === 6) return `(a${made(depth - 1)})${['*', '+', '?', '*?', '{1,2}'][random(5)]}`
    return made(depth - 1) + made(depth - 1)
  }
  for (let count = 0; count < 2_000; count++) {
    const source = made(4)
    const text = Array.from({ length: random(9) }, () => 'ab c'[random(4)]).join('')
    const expected = new RegExp(source).exec(text)
    const found = new Pattern(source)
    expect([source, text, found.test(text)]).toEqual([source, text, expected !== null])
    expect([source, text, found.replace(text, '<$&>')]).toEqual([
      source,
      text,
      text.replace(new RegExp(source), '<$&>'),
    ])
  }
})

test('replacements are those of JavaScript', () => {
  const pattern = new Pattern('(?P<host>\\w+)-(\\d+)')
  expect(pattern.replace('a web-12 b', '$2:$1 $<host> $& $$ $3 $22 $<no>')).toBe(
    'a 12:web web web-12 $ $3 122  b',
  )
})

test.each([
  '(a+)+b',
  '(a|a)*b',
  '(a?){60}a{60}b',
  '.*.*.*.*.*.*.*b',
  '(a*)*c',
  '((a{0,30}){0,30})b',
  '[a-z]{1000}b',
  '(x+x+)+y',
  '^(([a-z])+.)+[A-Z]([a-z])+$',
])('%s takes little time, whatever the text', (source) => {
  const pattern = patternOf(source)
  for (const length of [30, 300, 3_000]) {
    // A RegExp takes longer than the test may, already for the shortest.
    expect(pattern?.test('a'.repeat(length))).toBe(false)
  }
  expect(pattern).not.toBeNull()
})
