import { render, screen } from '@testing-library/react'
import { expect, test } from 'vitest'
import type { Panel } from '@/api/generated/types.gen'
import TextPanel from './text-panel'

function links(content: string) {
  render(<TextPanel panel={{ title: '', options: { content } } as Panel} />)
  return screen.getAllByRole('link').map((link) => link.textContent)
}

test('a link to another host shows it, one of this Pulseboard does not', () => {
  const written =
    '[a](//evil.example/x) [b](https://evil.example) [c](/boards) <https://honest.example/>'
  expect(links(written)).toEqual([
    'a (evil.example)',
    'b (evil.example)',
    'c',
    'https://honest.example/',
  ])
})

test.each(['>'.repeat(20_000), '> - '.repeat(5_000), '1. '.repeat(6_000)])(
  'a text that is nested too deeply is shown as it was written',
  (content) => {
    const panel = { title: '', options: { content } } as Panel
    const { container } = render(<TextPanel panel={panel} />)
    expect(container.textContent).toBe(content)
  },
)
