import { expect, it } from 'vitest'
import { namesIn, unknownNames } from './template-names'

it('finds the labels of placeholders', () => {
  expect(namesIn('{{host}} {{ $labels.env | toUpper }} {{- k8s.pod -}} {{ $value }}')).toEqual([
    'host',
    'env',
    'k8s.pod',
  ])
  expect(namesIn('{{ printf "%s" .Labels.a }} {{ value | humanize }} {{ humanize 1 }}')).toEqual([
    'a',
    'value',
  ])
})

it('names what no series has', () => {
  const series: { tags: Record<string, string> }[] = [
    { tags: { host: 'a' } },
    { tags: { env: 'b' } },
  ]
  const draft = {
    message: '{{hsot}} {{host}} {{env}} {{value}} {{team}} {{ $labels.nobody }}',
    labels: 'team=ops\nof={{owner}}',
  }
  expect(unknownNames(draft, series)).toEqual(['hsot', 'nobody', 'owner'])
  expect(unknownNames(draft, [])).toEqual([])
})
