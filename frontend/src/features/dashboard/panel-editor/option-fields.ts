import type { Panel, PanelOptions, SeriesOverride } from '@/api/generated/types.gen'
import { DEFAULT_OPTIONS } from '@/lib/panel-defaults'

type Kind = Panel['type']

/** A value, empty for none, and how it is called. */
export type Choice = readonly [value: string | null, label: string]

/** How one option is edited. */
export type OptionField<Key extends string = string> = {
  key: Key
  label: string
  hint?: string
  placeholder?: string
  /** The types of panels that it has an effect on; left out: all. */
  of?: readonly Kind[]
} & (
  | { as: 'choice'; choices: readonly Choice[] }
  | { as: 'number'; min?: number; max?: number; step?: number | 'any' }
  /** `off`: what an unticked box means; false if left out. */
  | { as: 'check'; off?: null }
  | { as: 'text' | 'area' | 'unit' | 'color' | 'calculations' }
)

export const CALCULATIONS: readonly Choice[] = [
  ['last', 'Last'],
  ['avg', 'Average'],
  ['min', 'Minimum'],
  ['max', 'Maximum'],
  ['sum', 'Total'],
  ['first', 'First'],
  ['count', 'Count'],
  ['range', 'Range (maximum less minimum)'],
  ['difference', 'Difference (last less first)'],
]

/** Types with a time axis and lines. */
export const TIMED: readonly Kind[] = ['line', 'area', 'bar']
const ONE_VALUE: readonly Kind[] = ['stat', 'gauge', 'barGauge', 'pie', 'barChart']
const COLORED: readonly Kind[] = ['pie', 'barChart', 'barGauge', ...TIMED]
const SCALED: readonly Kind[] = [...TIMED, 'gauge', 'barGauge', 'barChart', 'xy', 'table']
/** Types that draw no query. */
export const WITHOUT_QUERY: readonly Kind[] = [
  'text',
  'alertList',
  'dashboardList',
  'row',
  'unknown',
]
const WITH_QUERY: readonly Kind[] = [
  ...TIMED,
  ...ONE_VALUE,
  'table',
  'heatmap',
  'histogram',
  'stateTimeline',
  'statusHistory',
  'xy',
]

const NO_CHOICE: Choice = [null, 'As the panel']
const LINE_STYLES: readonly Choice[] = [
  ['solid', 'Solid'],
  ['dash', 'Dashed'],
  ['dot', 'Dotted'],
]
const INTERPOLATIONS: readonly Choice[] = [
  ['linear', 'Straight'],
  ['smooth', 'Smooth'],
  ['stepBefore', 'Steps, before the point'],
  ['stepAfter', 'Steps, after the point'],
]
const POINTS: readonly Choice[] = [
  ['auto', 'Automatic'],
  ['always', 'Always'],
  ['never', 'Never'],
]
const AXES: readonly Choice[] = [
  ['left', 'Left'],
  ['right', 'Right'],
  ['hidden', 'Hidden'],
]
const CELLS: readonly Choice[] = [
  ['text', 'Text'],
  ['color', 'Coloured text'],
  ['background', 'Coloured background'],
  ['gauge', 'Gauge'],
  ['sparkline', 'Sparkline'],
]

type Key = keyof PanelOptions & string

/** The options that are one value each, by section. Lists and transformations have forms of their own. */
export const SECTIONS: readonly {
  title: string
  open?: boolean
  fields: readonly OptionField<Key>[]
}[] = [
  {
    title: 'Values',
    open: true,
    fields: [
      { key: 'unit', label: 'Unit', as: 'unit', of: WITH_QUERY },
      {
        key: 'decimals',
        label: 'Decimals',
        as: 'number',
        min: 0,
        max: 10,
        step: 1,
        placeholder: 'Automatic',
        of: WITH_QUERY,
      },
      {
        key: 'calculation',
        label: 'Calculation',
        as: 'choice',
        choices: CALCULATIONS,
        of: [...ONE_VALUE, ...TIMED],
      },
      {
        key: 'nulls',
        label: 'Missing values',
        as: 'choice',
        choices: [
          ['gap', 'Gap'],
          ['connect', 'Connect'],
          ['zero', 'Zero'],
        ],
        of: WITH_QUERY,
      },
      {
        key: 'minStep',
        label: 'Minimum step',
        as: 'text',
        placeholder: 'Automatic',
        of: WITH_QUERY,
      },
      { key: 'noValue', label: 'Text for no value', as: 'text', placeholder: '–', of: WITH_QUERY },
      {
        key: 'textMode',
        label: 'Show',
        as: 'choice',
        choices: [
          ['auto', 'Automatic'],
          ['value', 'Value'],
          ['name', 'Name'],
          ['valueAndName', 'Value and name'],
          ['none', 'Nothing'],
        ],
        of: ['stat'],
      },
      {
        key: 'colorMode',
        label: 'Colour of',
        as: 'choice',
        choices: [
          ['value', 'Value'],
          ['background', 'Background'],
          ['none', 'Nothing'],
        ],
        of: ['stat'],
      },
      {
        key: 'orientation',
        label: 'Orientation',
        as: 'choice',
        choices: [
          ['auto', 'Automatic'],
          ['horizontal', 'Horizontal'],
          ['vertical', 'Vertical'],
        ],
        of: ['barGauge'],
      },
      {
        key: 'shape',
        label: 'Shape',
        as: 'choice',
        choices: [
          [null, 'Automatic'],
          ['basic', 'Plain bars'],
          ['gradient', 'Bars with a gradient'],
          ['segments', 'Bars of segments'],
          ['pie', 'Pie'],
          ['donut', 'Donut'],
        ],
        of: ['pie', 'barGauge'],
      },
      { key: 'sparkline', label: 'Sparkline', as: 'check', of: ['stat'] },
      {
        key: 'buckets',
        label: 'Series are buckets already',
        hint: 'As those of a histogram by le.',
        as: 'check',
        of: ['heatmap'],
      },
    ],
  },
  {
    title: 'Axis',
    open: true,
    fields: [
      { key: 'min', label: 'Minimum', as: 'number', placeholder: 'Automatic', of: SCALED },
      { key: 'max', label: 'Maximum', as: 'number', placeholder: 'Automatic', of: SCALED },
      {
        key: 'softMin',
        label: 'At least down to',
        as: 'number',
        placeholder: 'Automatic',
        of: TIMED,
      },
      {
        key: 'softMax',
        label: 'At least up to',
        as: 'number',
        placeholder: 'Automatic',
        of: TIMED,
      },
      { key: 'axis', label: 'Side', as: 'choice', choices: AXES, of: TIMED },
      { key: 'axisLabel', label: 'Axis label', as: 'text', of: TIMED },
      {
        key: 'scale',
        label: 'Scale',
        as: 'choice',
        choices: [
          ['linear', 'Linear'],
          ['log', 'Logarithmic'],
        ],
        of: TIMED,
      },
      { key: 'stacked', label: 'Stack series', as: 'check', of: TIMED },
      { key: 'stackPercent', label: 'Stack to 100 %', as: 'check', of: TIMED },
    ],
  },
  {
    title: 'Lines',
    fields: [
      {
        key: 'lineWidth',
        label: 'Line width',
        as: 'number',
        min: 0,
        max: 10,
        placeholder: 'Automatic',
        of: TIMED,
      },
      {
        key: 'fill',
        label: 'Fill in percent',
        as: 'number',
        min: 0,
        max: 100,
        step: 1,
        placeholder: 'Automatic',
        of: TIMED,
      },
      { key: 'lineStyle', label: 'Line style', as: 'choice', choices: LINE_STYLES, of: TIMED },
      {
        key: 'interpolation',
        label: 'Between points',
        as: 'choice',
        choices: INTERPOLATIONS,
        of: TIMED,
      },
      { key: 'points', label: 'Points', as: 'choice', choices: POINTS, of: TIMED },
      { key: 'gradient', label: 'Fill with a gradient', as: 'check', of: TIMED },
    ],
  },
  {
    title: 'Table',
    fields: [
      {
        key: 'cell',
        label: 'Cells',
        as: 'choice',
        choices: [[null, 'Automatic'], ...CELLS],
        of: ['table'],
      },
      { key: 'columnHeader', label: 'Column names', as: 'check', of: ['table'] },
      { key: 'footer', label: 'Footer', as: 'calculations', of: ['table'] },
    ],
  },
]

export const LEGEND_FIELDS: readonly OptionField<Key>[] = [
  {
    key: 'legendSide',
    label: 'Placement',
    as: 'choice',
    choices: [
      ['bottom', 'Below'],
      ['right', 'On the right'],
    ],
    of: [...TIMED, 'pie'],
  },
  {
    key: 'legendValues',
    label: 'Columns of the legend',
    as: 'calculations',
    of: TIMED,
  },
  {
    key: 'tooltip',
    label: 'Tooltip',
    as: 'choice',
    choices: [
      ['all', 'All series'],
      ['single', 'The nearest series'],
      ['hidden', 'None'],
    ],
    of: TIMED,
  },
  {
    key: 'tooltipSort',
    label: 'Order in the tooltip',
    as: 'choice',
    choices: [
      ['desc', 'Highest first'],
      ['asc', 'Lowest first'],
      ['none', 'As in the legend'],
    ],
    of: TIMED,
  },
  {
    key: 'colorBy',
    label: 'Colour by',
    as: 'choice',
    choices: [
      ['series', 'Series'],
      ['value', 'Value'],
    ],
    of: COLORED,
  },
]

export const THRESHOLD_FIELDS: readonly OptionField<Key>[] = [
  {
    key: 'thresholdStyle',
    label: 'Draw as',
    as: 'choice',
    choices: [
      ['line', 'Lines'],
      ['area', 'Areas'],
      ['both', 'Lines and areas'],
      ['none', 'Nothing'],
    ],
    of: TIMED,
  },
  {
    key: 'thresholdMode',
    label: 'Values are',
    as: 'choice',
    choices: [
      ['absolute', 'Absolute'],
      ['percent', 'Percent from minimum to maximum'],
    ],
    of: WITH_QUERY,
  },
  { key: 'baseColor', label: 'Colour below the first', as: 'color', of: WITH_QUERY },
]

/** What a panel has beside its title and description. */
export const PANEL_FIELDS: readonly OptionField<Key>[] = [
  { key: 'content', label: 'Text in Markdown', as: 'area', of: ['text'] },
  {
    key: 'section',
    label: 'Kind of section',
    as: 'choice',
    choices: [
      ['row', 'A row that folds'],
      ['tab', 'A tab'],
    ],
    of: ['row'],
  },
  { key: 'collapsed', label: 'Folded at first', as: 'check', of: ['row'] },
  {
    key: 'timeFrom',
    label: 'Range of its own',
    placeholder: 'As the dashboard',
    hint: 'Such as 1h, until now.',
    as: 'text',
    of: WITH_QUERY,
  },
  {
    key: 'timeShift',
    label: 'Shifted into the past by',
    placeholder: 'Nothing',
    hint: 'Such as 1d.',
    as: 'text',
    of: WITH_QUERY,
  },
]

export const REPEAT_FIELDS: readonly OptionField<Key>[] = [
  {
    key: 'repeatDirection',
    label: 'Repeat',
    as: 'choice',
    choices: [
      ['right', 'To the right'],
      ['down', 'Down'],
    ],
  },
  {
    key: 'repeatMax',
    label: 'Side by side',
    as: 'number',
    min: 1,
    max: 12,
    step: 1,
    placeholder: 'Automatic',
  },
]

type OverrideKey = Exclude<keyof SeriesOverride & string, 'match' | 'by'>

/** What an override may change, lists left out; the first ones are always offered. */
export const OVERRIDE_FIELDS: readonly OptionField<OverrideKey>[] = [
  { key: 'label', label: 'Display name', as: 'text' },
  { key: 'color', label: 'Colour', as: 'color' },
  { key: 'unit', label: 'Unit', as: 'unit' },
  { key: 'hidden', label: 'Hidden', as: 'check', off: null },
  { key: 'negative', label: 'Draw below zero', as: 'check', off: null, of: TIMED },
  {
    key: 'decimals',
    label: 'Decimals of these',
    as: 'number',
    min: 0,
    max: 10,
    step: 1,
    placeholder: 'As the panel',
  },
  {
    key: 'kind',
    label: 'Drawn as',
    as: 'choice',
    choices: [NO_CHOICE, ['line', 'Line'], ['area', 'Area'], ['bar', 'Bars'], ['points', 'Points']],
  },
  { key: 'axis', label: 'Axis', as: 'choice', choices: [NO_CHOICE, ...AXES] },
  {
    key: 'stack',
    label: 'Stack',
    as: 'choice',
    choices: [NO_CHOICE, ['', 'Not stacked'], ['A', 'Group A'], ['B', 'Group B'], ['C', 'Group C']],
  },
  {
    key: 'lineWidth',
    label: 'Line width',
    as: 'number',
    min: 0,
    max: 10,
    placeholder: 'As the panel',
  },
  {
    key: 'fill',
    label: 'Fill in percent',
    as: 'number',
    min: 0,
    max: 100,
    step: 1,
    placeholder: 'As the panel',
  },
  { key: 'lineStyle', label: 'Line style', as: 'choice', choices: [NO_CHOICE, ...LINE_STYLES] },
  {
    key: 'interpolation',
    label: 'Between points',
    as: 'choice',
    choices: [NO_CHOICE, ...INTERPOLATIONS],
  },
  { key: 'points', label: 'Points', as: 'choice', choices: [NO_CHOICE, ...POINTS] },
  { key: 'min', label: 'Least value', as: 'number', placeholder: 'As the panel' },
  { key: 'max', label: 'Greatest value', as: 'number', placeholder: 'As the panel' },
  {
    key: 'width',
    label: 'Column width in pixels',
    as: 'number',
    min: 10,
    max: 2000,
    step: 1,
    placeholder: 'Automatic',
  },
  {
    key: 'align',
    label: 'Alignment',
    as: 'choice',
    choices: [NO_CHOICE, ['left', 'Left'], ['center', 'Centre'], ['right', 'Right']],
  },
  { key: 'cell', label: 'Cells', as: 'choice', choices: [NO_CHOICE, ...CELLS] },
]

/** The lists of an override. */
export const OVERRIDE_LISTS = [
  ['thresholds', 'Thresholds'],
  ['mappings', 'Value mappings'],
  ['links', 'Data links'],
] as const

/** Whether an option differs from what a new panel has. */
export const isSet = (options: PanelOptions, key: Key): boolean =>
  JSON.stringify(options[key] ?? null) !== JSON.stringify(DEFAULT_OPTIONS[key] ?? null)

/** Whether an option is offered: it has an effect on the type, or it is set. */
export const isShown = (field: OptionField<Key>, type: Kind, options: PanelOptions): boolean =>
  !field.of || field.of.includes(type) || isSet(options, field.key)
