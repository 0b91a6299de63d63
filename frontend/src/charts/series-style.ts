import type { PanelOptions, SeriesOverride } from '@/api/generated/types.gen'
import { formatValue } from '@/lib/units'
import type { Line, Table } from './chart-data'
import { colorOf } from './palette'

/** A line with the style that a panel's options give it. */
export type StyledLine = Line & { color: string; unit: string | null; negative: boolean }

/** Whether a pattern matches a series name; `*` matches any text. */
export function matches(pattern: string, name: string): boolean {
  const parts = pattern.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'))
  return new RegExp(`^${parts.join('.*')}$`).test(name)
}

/** The overrides of one series, merged; later ones win. */
export function overrideOf(overrides: SeriesOverride[], name: string): Partial<SeriesOverride> {
  const found: Partial<SeriesOverride> = {}
  for (const override of overrides) {
    if (!matches(override.match, name)) continue
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
    const found = overrideOf(options.overrides, line.label)
    if (found.hidden) return []
    const chosen = found.color ?? (index === 0 ? options.color : null)
    return [
      {
        key: line.key,
        label: found.label ?? line.label,
        values: line.values,
        ...(line.own && { own: line.own }),
        color: colorOf(index, chosen, options.palette),
        unit: found.unit ?? options.unit ?? null,
        negative: found.negative ?? false,
      },
    ]
  })
}

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

type ValueOptions = Pick<PanelOptions, 'mappings' | 'thresholds' | 'decimals'>

/** A value as a panel shows it: the text and colour of its mapping, else number and threshold. */
export function showValue(
  value: number | undefined,
  unit: string | null | undefined,
  { mappings, thresholds, decimals }: ValueOptions,
): { text: string; color: string | undefined } {
  const mapping =
    value === undefined
      ? undefined
      : mappings.find(({ low, high }) => value >= (low ?? -Infinity) && value <= (high ?? Infinity))
  return {
    text: mapping?.text ?? formatValue(value, unit, decimals),
    color: mapping?.color ? colorOf(1, mapping.color) : thresholdColor(thresholds, value),
  }
}

/** A variant of a colour for text, mixed with the text colour so that it is readable anywhere. */
export const textColor = (color: string) => `color-mix(in oklab, ${color} 72%, var(--text))`
