import { expect, test } from 'vitest'
import { readableField } from './validation-errors'

test.each([
  ['title', 'Title'],
  ['options.links.0.url', 'Links 1, url'],
  ['options.fieldLinks.11.title', 'Field links 12, title'],
  ['queries.1.query', 'Queries 2, query'],
])('%s is read as %s', (path, words) => {
  expect(readableField(path)).toBe(words)
})
