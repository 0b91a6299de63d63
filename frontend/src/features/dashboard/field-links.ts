import { createContext } from 'react'
import type { FieldLink } from '@/api/generated/types.gen'
import type { Field, Frame } from '@/charts/frames'
import { ALL, fillUrl, queryParams, type Scope, single } from '@/lib/variables'

/** What links refer to besides the value that they stand on. */
export type LinkContext = { scope: Scope; from: string; to: string }

export const LinkContextProvider = createContext<LinkContext>({
  scope: new Map(),
  from: 'now-1h',
  to: 'now',
})

const FIELD =
  /\$\{__(?:field\.labels\.([\w.]+)|field\.name|data\.fields(?:\.([^}:]+)|\[["']?([^\]"']+)["']?\])|value\.(raw|numeric|text|time)|series\.name)(?::(\w+))?\}/g

type Subject = {
  name: string
  labels: Record<string, string>
  value: number | string | null
  time?: number | null
  fields?: Map<string, number | string | null>
}

/** An address with everything filled in: the subject's labels and value, range, variables. */
export function fillLink(url: string, { scope, from, to }: LinkContext, subject?: Subject): string {
  const filled = subject
    ? url.replace(
        FIELD,
        (whole, label?: string, data?: string, indexed?: string, value?: string) => {
          const named = data ?? indexed
          const found = label
            ? subject.labels[label]
            : named
              ? subject.fields?.get(named.split('.')[0] ?? named)
              : value === 'time'
                ? subject.time
                : value
                  ? subject.value
                  : whole.includes('.name')
                    ? subject.name
                    : undefined
          return encodeURIComponent(String(found ?? ''))
        },
      )
    : url
  const range = `from=${encodeURIComponent(from)}&to=${encodeURIComponent(to)}`
  const all = [...scope]
    .filter(([name]) => !name.startsWith('__'))
    .map(([name, chosen]) => queryParams(name, chosen))
    .join('&')
  const withRange = filled
    .replace(/\$\{?__url_time_range\}?/g, range)
    .replace(/\$\{?__all_variables\}?/g, all)
  const times = new Map(scope).set('__from', single(from)).set('__to', single(to))
  return fillUrl(withRange, times).replaceAll(encodeURIComponent(ALL), ALL)
}

/** The link of a table's cell, if it has one. */
export function cellLink(
  links: FieldLink[],
  context: LinkContext,
  frame: Frame,
  field: Field,
  row: number,
): { url: string; title: string } | undefined {
  const [link] = links
  if (!link) return undefined
  const texts = frame.fields.filter(({ type }) => type === 'text')
  const at = ({ values }: Field) => values[row] ?? null
  const url = fillLink(link.url, context, {
    name: field.name,
    labels: {
      ...Object.fromEntries(texts.map((each) => [each.name, String(at(each) ?? '')])),
      ...field.labels,
    },
    value: at(field),
    fields: new Map(frame.fields.map((each) => [each.name, at(each)])),
  })
  return { url, title: link.title ?? '' }
}
