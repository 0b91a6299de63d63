import type { PanelOptions, SeriesOverride, Threshold } from '@/api/generated/types.gen'
import { patternOf } from '@/lib/patterns'
import { formatValue } from '@/lib/units'
import type { Line, Table } from './chart-data'
import { colorOf } from './palette'

/** What an override changes of how a value is written and coloured. */
type ValueStyle = Partial<
  Pick<SeriesOverride, 'decimals' | 'min' | 'max' | 'thresholds' | 'mappings' | 'links'>
>

/** What an override changes of how a line is drawn. */
export type LineLook = Partial<
  Pick<
    SeriesOverride,
    'kind' | 'axis' | 'stack' | 'lineWidth' | 'fill' | 'lineStyle' | 'interpolation' | 'points'
  >
>

/** A line with the style that a panel's options give it. */
export type StyledLine = Line & {
  color: string
  unit: string | null
  negative: boolean
  style?: ValueStyle
  look?: LineLook
}

/** Whether a pattern matches a series name; `*` matches any text. */
export function matches(pattern: string, name: string): boolean {
  if (!pattern.includes('*')) return pattern === name
  const parts = pattern.split('*')
  const first = parts[0] ?? ''
  const last = parts.at(-1) ?? ''
  if (name.length < first.length + last.length) return false
  if (!name.startsWith(first) || !name.endsWith(last)) return false
  // Each part where it comes first: whatever follows has the most room then.
  const middle = name.slice(first.length, name.length - last.length)
  let at = 0
  for (const part of parts.slice(1, -1)) {
    const found = middle.indexOf(part, at)
    if (found < 0) return false
    at = found + part.length
  }
  return true
}

/** Whether overrides need the engine of patterns before they can be applied. */
export const needsPatterns = (overrides: Pick<SeriesOverride, 'by'>[]): boolean =>
  overrides.some(({ by }) => by === 'pattern')

/** What an override is compared with. */
export type Field = { name: string; query?: string | undefined; type?: 'number' | 'text' | 'time' }

function applies({ by, match }: Pick<SeriesOverride, 'by' | 'match'>, field: Field): boolean {
  switch (by) {
    case 'pattern':
      return patternOf(match)?.test(field.name) ?? false
    case 'query':
      return field.query === match
    case 'type':
      return (field.type ?? 'number') === match
    default:
      return matches(match, field.name)
  }
}

/** The overrides of one series or column, merged; later ones win. */
export function overrideOf(
  overrides: SeriesOverride[],
  field: string | Field,
): Partial<SeriesOverride> {
  const found: Partial<SeriesOverride> = {}
  const wanted = typeof field === 'string' ? { name: field } : field
  for (const override of overrides) {
    if (!applies(override, wanted)) continue
    for (const [key, value] of Object.entries(override)) {
      if (value !== null && value !== undefined) Object.assign(found, { [key]: value })
    }
  }
  return found
}

/** Zero at each gap; between the times of a line with a coarser step there is none. */
export function withZeros({ values, own }: Line): (number | null)[] {
  if (!own) return values.map((value) => value ?? 0)
  const filled = [...values]
  for (const at of own) filled[at] = values[at] ?? 0
  return filled
}

type StyleOptions = Pick<PanelOptions, 'color' | 'palette' | 'unit' | 'overrides'>

/** The lines of a panel as it shows them, with overrides applied. */
export function applyOverrides(table: Table, options: StyleOptions): StyledLine[] {
  return table.lines.flatMap((line, index) => {
    const found = overrideOf(options.overrides, { name: line.label, query: line.ref })
    if (found.hidden) return []
    const chosen = found.color ?? (index === 0 ? options.color : null)
    const { decimals, min, max, thresholds, mappings, links } = found
    const { kind, axis, stack, lineWidth, fill, lineStyle, interpolation, points } = found
    return [
      {
        ...line,
        label: found.label ?? line.label,
        color: colorOf(index, chosen, options.palette),
        unit: found.unit ?? options.unit ?? null,
        negative: found.negative ?? false,
        style: present({ decimals, min, max, thresholds, mappings, links }),
        look: present({ kind, axis, stack, lineWidth, fill, lineStyle, interpolation, points }),
      },
    ]
  })
}

const present = <T extends object>(fields: T): Partial<T> =>
  Object.fromEntries(
    Object.entries(fields).filter(([, value]) => value !== undefined),
  ) as Partial<T>

/** The colour of the highest threshold that a value has reached. */
export function thresholdColor(
  thresholds: PanelOptions['thresholds'],
  value: number | undefined,
): string | undefined {
  if (value === undefined) return undefined
  const reached = thresholds
    .filter((threshold) => value >= threshold.value)
    .sort((a, b) => b.value - a.value)[0]
  return reached && colorOf(1, reached.color)
}

type ValueOptions = Pick<PanelOptions, 'mappings' | 'thresholds' | 'decimals'> &
  Partial<Pick<PanelOptions, 'baseColor' | 'thresholdMode' | 'min' | 'max' | 'noValue'>>

/** Thresholds as values, where they are given in percent of the way from min to max. */
export function absoluteThresholds(
  thresholds: Threshold[],
  { thresholdMode, min, max }: Pick<ValueOptions, 'thresholdMode' | 'min' | 'max'>,
): Threshold[] {
  if (thresholdMode !== 'percent') return thresholds
  const low = min ?? 0
  const span = (max ?? 100) - low
  return thresholds.map((step) => ({ ...step, value: low + (step.value / 100) * span }))
}

type Mapping = ValueOptions['mappings'][number]

function maps({ low, high, pattern, special }: Mapping, value: number | undefined): boolean {
  if (special) return value === undefined || Number.isNaN(value)
  if (value === undefined) return false
  if (pattern) return matches(pattern, String(value))
  return value >= (low ?? -Infinity) && value <= (high ?? Infinity)
}

/** A value as a panel shows it: the text and colour of its mapping, else number and threshold. */
export function showValue(
  value: number | undefined,
  unit: string | null | undefined,
  options: ValueOptions,
  style: ValueStyle = {},
): { text: string; color: string | undefined } {
  const mapping = (style.mappings ?? options.mappings).find((each) => maps(each, value))
  const steps = absoluteThresholds(style.thresholds ?? options.thresholds, {
    ...options,
    min: style.min ?? options.min,
    max: style.max ?? options.max,
  })
  const base = options.baseColor && value !== undefined ? colorOf(1, options.baseColor) : undefined
  const written =
    value === undefined && options.noValue
      ? options.noValue
      : formatValue(value, unit, style.decimals ?? options.decimals)
  return {
    text: mapping?.text ?? written,
    color: mapping?.color ? colorOf(1, mapping.color) : (thresholdColor(steps, value) ?? base),
  }
}

/** A text as a table shows it: the text and colour of its mapping, else itself. */
export function showText(
  value: string,
  mappings: PanelOptions['mappings'],
): { text: string; color: string | undefined } {
  const mapping = mappings.find(({ pattern, special }) =>
    special ? value === '' : pattern !== null && pattern !== undefined && matches(pattern, value),
  )
  return {
    text: mapping?.text ?? value,
    color: mapping?.color ? colorOf(1, mapping.color) : undefined,
  }
}

/** A variant of a colour for text, mixed with the text colour so that it is readable anywhere. */
export const textColor = (color: string) => `color-mix(in oklab, ${color} 72%, var(--text))`
