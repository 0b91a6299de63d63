import type { Choice } from './option-fields'

/** A setting of a transformation: where it stands in the options, and how it is edited. */
export type Setting = {
  /** Keys and indexes, such as `sort.0.field`. */
  path: string
  label: string
  hint?: string
} & (
  | { as: 'field' | 'text' | 'number' | 'check' | 'lines' | 'reducers' }
  | { as: 'choice'; choices: readonly Choice[] }
)

export const REDUCERS: readonly Choice[] = [
  ['lastNotNull', 'Last'],
  ['firstNotNull', 'First'],
  ['mean', 'Average'],
  ['min', 'Minimum'],
  ['max', 'Maximum'],
  ['sum', 'Total'],
  ['count', 'Count'],
  ['distinctCount', 'Different values'],
  ['range', 'Range'],
  ['diff', 'Difference'],
]

const JOIN_FIELD: Setting = {
  path: 'byField',
  label: 'By the column',
  hint: 'Left out: Time.',
  as: 'field',
}

/** The transformations that are carried out, with what is edited in a form; the rest is in JSON. */
export const TRANSFORMATIONS: Record<string, { label: string; settings: readonly Setting[] }> = {
  organize: { label: 'Organise columns: hide, rename, order', settings: [] },
  calculateField: {
    label: 'Calculate a column',
    settings: [
      {
        path: 'mode',
        label: 'How',
        as: 'choice',
        choices: [
          ['reduceRow', 'Of all columns of a row'],
          ['binary', 'Of two columns'],
          ['index', 'Number of the row'],
        ],
      },
      { path: 'reduce.reducer', label: 'Calculation of the row', as: 'choice', choices: REDUCERS },
      {
        path: 'reduce.include',
        label: 'Only these columns',
        hint: 'One a line; none: all.',
        as: 'lines',
      },
      { path: 'binary.left', label: 'Left: column or number', as: 'field' },
      {
        path: 'binary.operator',
        label: 'Operator',
        as: 'choice',
        choices: [
          ['+', '+'],
          ['-', '−'],
          ['*', '×'],
          ['/', '÷'],
          ['%', 'Remainder'],
          ['**', 'Power'],
        ],
      },
      { path: 'binary.right', label: 'Right: column or number', as: 'field' },
      { path: 'alias', label: 'Name of the column', as: 'text' },
      { path: 'replaceFields', label: 'Leave out the other columns', as: 'check' },
    ],
  },
  merge: { label: 'Merge tables', settings: [] },
  joinByField: {
    label: 'Join tables by a column',
    settings: [
      JOIN_FIELD,
      {
        path: 'mode',
        label: 'Rows',
        as: 'choice',
        choices: [
          ['outer', 'Of all tables'],
          ['inner', 'That are in each table'],
        ],
      },
    ],
  },
  seriesToColumns: { label: 'Join tables (outer)', settings: [JOIN_FIELD] },
  groupBy: { label: 'Group by columns', settings: [] },
  filterFieldsByName: {
    label: 'Keep columns by name',
    settings: [
      { path: 'include.names', label: 'Keep these', hint: 'One a line.', as: 'lines' },
      { path: 'include.pattern', label: 'Keep what matches (regular expression)', as: 'text' },
      { path: 'exclude.pattern', label: 'Leave out what matches', as: 'text' },
    ],
  },
  filterByValue: {
    label: 'Filter rows by value',
    settings: [
      {
        path: 'type',
        label: 'Rows that match are',
        as: 'choice',
        choices: [
          ['include', 'Kept'],
          ['exclude', 'Left out'],
        ],
      },
      {
        path: 'match',
        label: 'They match',
        as: 'choice',
        choices: [
          ['all', 'All conditions'],
          ['any', 'Any condition'],
        ],
      },
    ],
  },
  filterByRefId: {
    label: 'Keep results by query',
    settings: [{ path: 'include', label: 'Letter, or regular expression', as: 'text' }],
  },
  sortBy: {
    label: 'Sort rows',
    settings: [
      { path: 'sort.0.field', label: 'By the column', as: 'field' },
      { path: 'sort.0.desc', label: 'Highest first', as: 'check' },
    ],
  },
  limit: {
    label: 'Limit rows',
    settings: [{ path: 'limitField', label: 'Rows', as: 'number' }],
  },
  reduce: {
    label: 'Reduce series to values',
    settings: [
      { path: 'reducers', label: 'Calculations', as: 'reducers' },
      {
        path: 'mode',
        label: 'As',
        as: 'choice',
        choices: [
          ['seriesToRows', 'A row for each series'],
          ['reduceFields', 'One row with all series'],
        ],
      },
      { path: 'labelsToFields', label: 'A column for each label', as: 'check' },
    ],
  },
  labelsToFields: {
    label: 'Labels to columns',
    settings: [
      {
        path: 'mode',
        label: 'As',
        as: 'choice',
        choices: [
          ['columns', 'Columns'],
          ['rows', 'Rows'],
        ],
      },
      { path: 'keepLabels', label: 'Only these labels', hint: 'One a line.', as: 'lines' },
      { path: 'valueLabel', label: 'Name the values by the label', as: 'text' },
    ],
  },
  renameByRegex: {
    label: 'Rename by regular expression',
    settings: [
      { path: 'regex', label: 'Regular expression', as: 'text' },
      { path: 'renamePattern', label: 'Becomes', hint: '$1 is the first group.', as: 'text' },
    ],
  },
  seriesToRows: { label: 'Series to rows', settings: [] },
  rowsToFields: { label: 'Rows to columns', settings: [] },
  concatenate: { label: 'Tables side by side', settings: [] },
  groupingToMatrix: {
    label: 'Matrix of two columns',
    settings: [
      { path: 'columnField', label: 'Columns', as: 'field' },
      { path: 'rowField', label: 'Rows', as: 'field' },
      { path: 'valueField', label: 'Values', as: 'field' },
    ],
  },
  convertFieldType: { label: 'Convert types', settings: [] },
  transpose: { label: 'Swap rows and columns', settings: [] },
  prepareTimeSeries: { label: 'Prepare time series', settings: [] },
}

type Json = Record<string, unknown>

/** The value at a path; undefined where there is none. */
export function at(options: unknown, path: string): unknown {
  let found = options
  for (const key of path.split('.')) {
    if (typeof found !== 'object' || found === null) return undefined
    found = (found as Json)[key]
  }
  return found
}

/** The same options with one value changed; undefined removes it. All else stays as it is. */
export function withValue(options: unknown, path: string, value: unknown): Json {
  const [key = '', ...rest] = path.split('.')
  const own = typeof options === 'object' && options !== null ? options : {}
  const inner = rest.length ? withValue((own as Json)[key], rest.join('.'), value) : value
  if (Array.isArray(options) || (options === undefined && /^\d+$/.test(key))) {
    const list: unknown[] = Array.isArray(options) ? [...options] : []
    list[Number(key)] = inner
    return list as unknown as Json
  }
  if (inner !== undefined) return { ...own, [key]: inner }
  const { [key]: _, ...others } = own as Json
  return others
}
