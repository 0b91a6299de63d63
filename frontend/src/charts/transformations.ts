import type { Transformation } from '@/api/generated/types.gen'
import { type Pattern, patternOf } from '@/lib/re2-pattern'
import { type Calculation, calculate } from './chart-data'
import { type Field, type Frame, rowsOf, type Value } from './frames'

type Options = Record<string, unknown>
type Step = (frames: Frame[], options: Options) => Frame[]

const object = (value: unknown): Options =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Options) : {}
const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : [])
const text = (value: unknown): string => (typeof value === 'string' ? value : '')

/** A regular expression as Grafana writes it, with or without slashes. */
function pattern(value: unknown): Pattern | null {
  const written = /^\/(.*)\/([a-z]*)$/s.exec(text(value))
  return patternOf(written?.[1] ?? text(value), written?.[2]?.replace(/[^im]/g, ''))
}

const CALCULATIONS: Record<string, Calculation> = {
  lastNotNull: 'last',
  last: 'last',
  firstNotNull: 'first',
  first: 'first',
  mean: 'avg',
  min: 'min',
  max: 'max',
  sum: 'sum',
  count: 'count',
  range: 'range',
  diff: 'difference',
  delta: 'difference',
}
const NAMES: Record<string, string> = {
  lastNotNull: 'Last *',
  last: 'Last',
  firstNotNull: 'First *',
  first: 'First',
  mean: 'Mean',
  min: 'Min',
  max: 'Max',
  sum: 'Total',
  count: 'Count',
  range: 'Range',
  diff: 'Difference',
  delta: 'Delta',
}

function reduced(field: Field, how: string): Value {
  if (how === 'count') return field.values.filter((value) => value !== null).length
  if (how === 'distinctCount') return new Set(field.values).size
  if (field.type !== 'number') {
    const present = field.values.filter((value) => value !== null && value !== '')
    return (how.startsWith('first') ? present[0] : present.at(-1)) ?? null
  }
  return calculate(field.values as (number | null)[], CALCULATIONS[how] ?? 'last') ?? null
}

const pick = (frame: Frame, rows: number[]): Frame => ({
  ...frame,
  fields: frame.fields.map((field) => ({
    ...field,
    values: rows.map((row) => field.values[row] ?? null),
  })),
})

const allRows = (frame: Frame) => Array.from({ length: rowsOf(frame) }, (_, row) => row)

/** Names of fields that have the name or the display name. */
const byName = (fields: Field[], name: string) => fields.find((field) => field.name === name)

const organize: Step = (frames, options) => {
  const without = object(options.excludeByName)
  const order = object(options.indexByName)
  const names = object(options.renameByName)
  return frames.map((frame) => {
    const kept = frame.fields.filter(({ name }) => without[name] !== true)
    const place = ({ name }: Field) =>
      typeof order[name] === 'number' ? (order[name] as number) : Number.MAX_SAFE_INTEGER
    const sorted = [...kept].sort((a, b) => place(a) - place(b))
    return {
      ...frame,
      fields: sorted.map((field) => ({ ...field, name: text(names[field.name]) || field.name })),
    }
  })
}

/** Rows of all frames in one; rows that agree in the fields they share become one. */
const merge: Step = (frames) => {
  if (frames.length < 2) return frames
  const names = [...new Set(frames.flatMap(({ fields }) => fields.map(({ name }) => name)))]
  const shared = names.filter((name) => frames.every(({ fields }) => byName(fields, name)))
  const kinds = new Map(frames.flatMap(({ fields }) => fields.map((field) => [field.name, field])))
  // Times of one refresh differ by query, if at all: they hold no rows apart in a table.
  const keys = shared.filter((name) => kinds.get(name)?.type !== 'number')
  const rows = new Map<string, Map<string, Value>>()
  frames.forEach((frame, number) => {
    for (const row of allRows(frame)) {
      const values = keys.map((name) => byName(frame.fields, name)?.values[row] ?? null)
      const key = keys.length ? JSON.stringify(values) : `${number}:${row}`
      const merged = rows.get(key) ?? new Map<string, Value>()
      const clash = frame.fields.some(
        ({ name, values }) => merged.has(name) && merged.get(name) !== (values[row] ?? null),
      )
      const into = clash ? new Map<string, Value>() : merged
      rows.set(clash ? `${key}:${number}:${row}` : key, into)
      for (const { name, values } of frame.fields) into.set(name, values[row] ?? null)
    }
  })
  const all = [...rows.values()]
  return [
    {
      name: 'merged',
      fields: names.map((name) => ({
        ...(kinds.get(name) as Field),
        values: all.map((row) => row.get(name) ?? null),
      })),
    },
  ]
}

/** Frames side by side, by equal values of one field. */
const join: Step = (frames, options) => {
  const wanted = text(options.byField) || 'Time'
  const inner = options.mode === 'inner'
  const joined = frames.filter(({ fields }) => byName(fields, wanted))
  if (joined.length < 2) return frames
  const rows = new Map<Value, (number | undefined)[]>()
  joined.forEach((frame, number) => {
    const keys = byName(frame.fields, wanted)?.values ?? []
    keys.forEach((key, row) => {
      const at = rows.get(key) ?? Array<number | undefined>(joined.length).fill(undefined)
      at[number] ??= row
      rows.set(key, at)
    })
  })
  const kept = [...rows].filter(([, at]) => !inner || at.every((row) => row !== undefined))
  if (wanted === 'Time') kept.sort(([a], [b]) => Number(a) - Number(b))
  const key = byName(joined[0]?.fields ?? [], wanted) as Field
  const seen = new Map<string, number>()
  for (const { fields } of joined) {
    for (const { name } of fields) seen.set(name, (seen.get(name) ?? 0) + 1)
  }
  const counted = new Map<string, number>()
  const others = joined.flatMap((frame, number) =>
    frame.fields
      .filter(({ name }) => name !== wanted)
      .map((field) => {
        const nth = (counted.get(field.name) ?? 0) + 1
        counted.set(field.name, nth)
        const twice = (seen.get(field.name) ?? 0) > 1
        return {
          ...field,
          name: twice ? `${field.name} ${nth}` : field.name,
          values: kept.map(([, at]) => {
            const row = at[number]
            return row === undefined ? null : (field.values[row] ?? null)
          }),
        }
      }),
  )
  return [{ name: 'joined', fields: [{ ...key, values: kept.map(([value]) => value) }, ...others] }]
}

const groupBy: Step = (frames, options) => {
  const fields = object(options.fields)
  const roleOf = (name: string) => object(fields[name])
  return frames.map((frame) => {
    const keys = frame.fields.filter(({ name }) => roleOf(name).operation === 'groupby')
    if (!keys.length) return frame
    const groups = new Map<string, number[]>()
    for (const row of allRows(frame)) {
      const key = JSON.stringify(keys.map(({ values }) => values[row] ?? null))
      const group = groups.get(key)
      if (group) group.push(row)
      else groups.set(key, [row])
    }
    const rows = [...groups.values()]
    return {
      ...frame,
      fields: [
        ...keys.map((field) => ({
          ...field,
          values: rows.map(([first = 0]) => field.values[first] ?? null),
        })),
        ...frame.fields.flatMap((field) =>
          roleOf(field.name).operation === 'aggregate'
            ? list(roleOf(field.name).aggregations).map((how): Field => {
                const values = rows.map((at) =>
                  reduced(
                    { ...field, values: at.map((row) => field.values[row] ?? null) },
                    text(how),
                  ),
                )
                const number = field.type === 'number' || text(how).endsWith('ount')
                return {
                  ...field,
                  name: `${field.name} (${text(how)})`,
                  type: number ? 'number' : field.type,
                  values,
                }
              })
            : [],
        ),
      ],
    }
  })
}

const filterNames: Step = (frames, options) => {
  const include = object(options.include)
  const exclude = object(options.exclude)
  const accepts = (rule: Options) => {
    const names = list(rule.names)
    const match = rule.pattern ? pattern(rule.pattern) : null
    return (name: string) => names.includes(name) || (match?.test(name) ?? false)
  }
  const wanted = include.names || include.pattern ? accepts(include) : () => true
  const refused = exclude.names || exclude.pattern ? accepts(exclude) : () => false
  return frames
    .map((frame) => ({
      ...frame,
      fields: frame.fields.filter(({ name }) => wanted(name) && !refused(name)),
    }))
    .filter(({ fields }) => fields.length > 0)
}

const CONDITIONS: Record<string, (value: Value, options: Options) => boolean> = {
  isNull: (value) => value === null || value === '',
  isNotNull: (value) => value !== null && value !== '',
  greater: (value, { value: than }) => value !== null && Number(value) > Number(than),
  greaterOrEqual: (value, { value: than }) => value !== null && Number(value) >= Number(than),
  lower: (value, { value: than }) => value !== null && Number(value) < Number(than),
  lowerOrEqual: (value, { value: than }) => value !== null && Number(value) <= Number(than),
  equal: (value, { value: other }) => String(value) === String(other),
  notEqual: (value, { value: other }) => String(value) !== String(other),
  substring: (value, { value: part }) =>
    String(value).toLowerCase().includes(String(part).toLowerCase()),
  notSubstring: (value, { value: part }) =>
    !String(value).toLowerCase().includes(String(part).toLowerCase()),
  regex: (value, { value: match }) => pattern(match)?.test(String(value ?? '')) ?? true,
  range: (value, { from, to }) => Number(value) >= Number(from) && Number(value) <= Number(to),
  between: (value, { from, to }) => Number(value) >= Number(from) && Number(value) <= Number(to),
}

const filterValues: Step = (frames, options) => {
  const filters = list(options.filters).map(object)
  const any = options.match === 'any'
  const include = options.type !== 'exclude'
  return frames.map((frame) => {
    const known = filters.flatMap((filter) => {
      const field = byName(frame.fields, text(filter.fieldName))
      const config = object(filter.config)
      const holds = CONDITIONS[text(config.id)]
      return field && holds
        ? [(row: number) => holds(field.values[row] ?? null, object(config.options))]
        : []
    })
    if (!known.length) return frame
    const rows = allRows(frame).filter((row) => {
      const matched = any ? known.some((test) => test(row)) : known.every((test) => test(row))
      return matched === include
    })
    return pick(frame, rows)
  })
}

const natural = new Intl.Collator(undefined, { numeric: true })

/** Rows in the order of a field; those without a value come last. */
export function sortedRows(field: Field | undefined, falling: boolean, rows: number[]): number[] {
  if (!field) return rows
  const sign = falling ? -1 : 1
  return [...rows].sort((a, b) => {
    const [left = null, right = null] = [field.values[a], field.values[b]]
    if (left === null || right === null) return Number(left === null) - Number(right === null)
    return (
      sign *
      (typeof left === 'number' && typeof right === 'number'
        ? left - right
        : natural.compare(String(left), String(right)))
    )
  })
}

const sortBy: Step = (frames, options) => {
  const [first] = list(options.sort).map(object)
  if (!first) return frames
  return frames.map((frame) =>
    pick(
      frame,
      sortedRows(byName(frame.fields, text(first.field)), first.desc === true, allRows(frame)),
    ),
  )
}

const limit: Step = (frames, options) => {
  const most = Number(options.limitField ?? 10)
  return frames.map((frame) =>
    pick(frame, allRows(frame).slice(0, Number.isFinite(most) ? most : 10)),
  )
}

const OPERATORS: Record<string, (a: number, b: number) => number> = {
  '+': (a, b) => a + b,
  '-': (a, b) => a - b,
  '*': (a, b) => a * b,
  '/': (a, b) => a / b,
  '%': (a, b) => a % b,
  '**': (a, b) => a ** b,
}

const finite = (value: number): number | null => (Number.isFinite(value) ? value : null)

const calculateField: Step = (frames, options) => {
  const binary = options.mode === 'binary'
  // Fields of several frames are joined by their times first.
  const joined = frames.length > 1 ? join(frames, { byField: 'Time' }) : frames
  return joined.map((frame) => {
    const settings = object(binary ? options.binary : options.reduce)
    const rows = allRows(frame)
    const numbers = frame.fields.filter(({ type }) => type === 'number')
    let values: (number | null)[]
    let name: string
    if (binary) {
      const side = (given: unknown) => {
        const wanted =
          text(object(given).fixed) || text(object(object(given).matcher).options) || text(given)
        const field = byName(frame.fields, wanted)
        return (row: number) => {
          const value = field ? (field.values[row] ?? null) : wanted === '' ? null : Number(wanted)
          return value === null ? null : Number(value)
        }
      }
      const [left, right] = [side(settings.left), side(settings.right)]
      const apply = OPERATORS[text(settings.operator) || '+']
      values = rows.map((row) => {
        const [a, b] = [left(row), right(row)]
        return a === null || b === null || !apply ? null : finite(apply(a, b))
      })
      name = `${text(settings.left)} ${text(settings.operator)} ${text(settings.right)}`
    } else if (options.mode === 'index') {
      values = rows
      name = 'Row'
    } else {
      const include = list(settings.include)
      const used = include.length
        ? numbers.filter((field) => include.includes(field.name))
        : numbers
      const how = CALCULATIONS[text(settings.reducer)] ?? 'sum'
      values = rows.map(
        (row) =>
          calculate(
            used.map((field) => (field.values[row] as number | null) ?? null),
            how,
          ) ?? null,
      )
      name = NAMES[text(settings.reducer)] ?? 'Total'
    }
    const made: Field = { name: text(options.alias) || name, type: 'number', values }
    const kept =
      options.replaceFields === true
        ? frame.fields.filter(({ type }) => type === 'time')
        : frame.fields
    return { ...frame, fields: [...kept, made] }
  })
}

const reduce: Step = (frames, options) => {
  const reducers = list(options.reducers).map(text)
  const used = reducers.length ? reducers : ['max']
  if (options.mode === 'reduceFields') {
    return frames.map((frame) => ({
      ...frame,
      fields: frame.fields
        .filter(({ type }) => type === 'number')
        .flatMap((field) => used.map((how) => ({ ...field, values: [reduced(field, how)] }))),
    }))
  }
  const fields = frames.flatMap(({ fields }) => fields.filter(({ type }) => type === 'number'))
  const keys =
    options.labelsToFields === true
      ? [...new Set(fields.flatMap(({ labels }) => Object.keys(labels ?? {})))]
      : []
  return [
    {
      name: 'reduced',
      fields: [
        ...(keys.length
          ? keys.map(
              (key): Field => ({
                name: key,
                type: 'text',
                values: fields.map(({ labels }) => labels?.[key] ?? ''),
              }),
            )
          : [{ name: 'Field', type: 'text' as const, values: fields.map(({ name }) => name) }]),
        ...used.map(
          (how): Field => ({
            name: NAMES[how] ?? how,
            type: 'number',
            values: fields.map((field) => reduced(field, how)),
          }),
        ),
      ],
    },
  ]
}

const labelsToFields: Step = (frames, options) => {
  const keep = list(options.keepLabels).map(text)
  if (options.mode === 'rows') {
    return frames.map((frame) => {
      const labels = Object.entries(frame.fields.find(({ labels }) => labels)?.labels ?? {})
      return {
        ...frame,
        fields: [
          { name: 'label', type: 'text', values: labels.map(([key]) => key) },
          { name: 'value', type: 'text', values: labels.map(([, value]) => value) },
        ],
      }
    })
  }
  return frames.map((frame) => {
    const rows = allRows(frame)
    const named = text(options.valueLabel)
    return {
      ...frame,
      fields: frame.fields.flatMap((field): Field[] => {
        const labels = Object.entries(field.labels ?? {}).filter(
          ([key]) => key !== named && (!keep.length || keep.includes(key)),
        )
        const name = (named && field.labels?.[named]) || field.name
        return [
          ...labels.map(
            ([key, value]): Field => ({ name: key, type: 'text', values: rows.map(() => value) }),
          ),
          { ...field, name, labels: {} },
        ]
      }),
    }
  })
}

const renameByRegex: Step = (frames, options) => {
  const match = pattern(options.regex)
  if (!match) return frames
  const becomes = text(options.renamePattern)
  return frames.map((frame) => ({
    ...frame,
    fields: frame.fields.map((field) =>
      field.type === 'time' ? field : { ...field, name: match.replace(field.name, becomes) },
    ),
  }))
}

const seriesToRows: Step = (frames) => {
  const rows = frames.flatMap((frame) => {
    const time = frame.fields.find(({ type }) => type === 'time')
    const value = frame.fields.find(({ type }) => type === 'number')
    return allRows(frame).map(
      (row) =>
        [time?.values[row] ?? null, value?.name ?? frame.name, value?.values[row] ?? null] as const,
    )
  })
  rows.sort((a, b) => Number(b[0]) - Number(a[0]))
  return [
    {
      name: 'rows',
      fields: [
        { name: 'Time', type: 'time', values: rows.map(([time]) => time) },
        { name: 'Metric', type: 'text', values: rows.map(([, name]) => name) },
        { name: 'Value', type: 'number', values: rows.map(([, , value]) => value) },
      ],
    },
  ]
}

/** Each row becomes a field: named by the first text, with the first number as its value. */
const rowsToFields: Step = (frames, options) => {
  const mapped = list(options.mappings).map(object)
  const role = (handler: string) =>
    text(mapped.find(({ handlerKey }) => handlerKey === handler)?.fieldName)
  return frames.map((frame) => {
    const names =
      byName(frame.fields, role('field.name')) ?? frame.fields.find(({ type }) => type === 'text')
    const values =
      byName(frame.fields, role('field.value')) ??
      frame.fields.find(({ type }) => type === 'number')
    if (!names || !values) return frame
    return {
      ...frame,
      fields: allRows(frame).map(
        (row): Field => ({
          name: String(names.values[row] ?? ''),
          type: values.type,
          values: [values.values[row] ?? null],
        }),
      ),
    }
  })
}

const concatenate: Step = (frames) => {
  const longest = Math.max(0, ...frames.map(rowsOf))
  return [
    {
      name: 'concatenated',
      fields: frames.flatMap(({ fields }) =>
        fields.map((field) => ({
          ...field,
          values: Array.from({ length: longest }, (_, row) => field.values[row] ?? null),
        })),
      ),
    },
  ]
}

const filterByRefId: Step = (frames, options) => {
  const match = pattern(options.include)
  return options.include && match ? frames.filter(({ ref }) => match.test(ref ?? '')) : frames
}

const groupingToMatrix: Step = (frames, options) =>
  frames.map((frame) => {
    const column = byName(frame.fields, text(options.columnField) || 'Time')
    const row = byName(frame.fields, text(options.rowField) || 'Time')
    const value = byName(frame.fields, text(options.valueField) || 'Value')
    if (!column || !row || !value) return frame
    const columns = [...new Set(column.values)]
    const rows = [...new Set(row.values)]
    const cells = new Map<string, Value>()
    for (const at of allRows(frame)) {
      cells.set(JSON.stringify([row.values[at], column.values[at]]), value.values[at] ?? null)
    }
    return {
      ...frame,
      fields: [
        { name: `${row.name}\\${column.name}`, type: row.type, values: rows },
        ...columns.map(
          (name): Field => ({
            ...value,
            name: String(name),
            values: rows.map((each) => cells.get(JSON.stringify([each, name])) ?? null),
          }),
        ),
      ],
    }
  })

const convertFieldType: Step = (frames, options) => {
  const wanted = new Map(
    list(options.conversions)
      .map(object)
      .map(({ targetField, destinationType }) => [text(targetField), text(destinationType)]),
  )
  return frames.map((frame) => ({
    ...frame,
    fields: frame.fields.map((field): Field => {
      switch (wanted.get(field.name)) {
        case 'number':
          return {
            ...field,
            type: 'number',
            values: field.values.map((value) => (value === null ? null : finite(Number(value)))),
          }
        case 'string':
          return {
            ...field,
            type: 'text',
            values: field.values.map((v) => (v === null ? null : String(v))),
          }
        case 'time':
          return {
            ...field,
            type: 'time',
            values: field.values.map((v) =>
              typeof v === 'string' && Number.isNaN(Number(v)) ? Date.parse(v) : Number(v),
            ),
          }
        default:
          return field
      }
    }),
  }))
}

const transpose: Step = (frames) =>
  frames.map((frame) => {
    const [head, ...rest] = frame.fields
    if (!head) return frame
    return {
      ...frame,
      fields: [
        { name: 'Field', type: 'text', values: rest.map(({ name }) => name) },
        ...head.values.map(
          (name, row): Field => ({
            name: String(name),
            type: rest.every(({ type }) => type === 'number') ? 'number' : 'text',
            values: rest.map(({ values }) => values[row] ?? null),
          }),
        ),
      ],
    }
  })

const STEPS: Record<string, Step> = {
  organize,
  merge,
  joinByField: join,
  seriesToColumns: join,
  groupBy,
  filterFieldsByName: filterNames,
  filterByValue: filterValues,
  sortBy,
  limit,
  calculateField,
  reduce,
  labelsToFields,
  renameByRegex,
  seriesToRows,
  rowsToFields,
  concatenate,
  filterByRefId,
  groupingToMatrix,
  convertFieldType,
  transpose,
  prepareTimeSeries: (frames) => frames,
}

/** Frames after a panel's transformations, which have Grafana's names and options. */
export const transformed = (frames: Frame[], steps: Transformation[]): Frame[] =>
  steps.reduce(
    (before, { id, disabled, options }) =>
      disabled ? before : (STEPS[id]?.(before, object(options)) ?? before),
    frames,
  )
