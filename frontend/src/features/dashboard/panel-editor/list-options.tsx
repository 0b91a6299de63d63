import { Plus, Trash2 } from 'lucide-react'
import type { ReactNode } from 'react'
import type {
  PanelLink,
  PanelOptions,
  SeriesOverride,
  Threshold,
  ValueMapping,
} from '@/api/generated/types.gen'
import { Button, Check, Choice, Field } from '@/components/ui/controls'
import { UNIT_GROUPS } from '@/lib/units'
import { ColorField, NumberField } from './fields'

type Props = {
  options: PanelOptions
  /** Whether the panel has a time axis. */
  timed: boolean
  fieldErrors: Record<string, string>
  onChange: (change: Partial<PanelOptions>) => void
}

/** The options that are lists: thresholds, mappings, overrides and links. */
export function ListOptions({ options, timed, fieldErrors, onChange }: Props) {
  return (
    <>
      <Section title={`Thresholds (${options.thresholds.length})`}>
        {timed && (
          <Choice
            label="Draw as"
            value={options.thresholdStyle}
            onChange={(event) =>
              onChange({ thresholdStyle: event.target.value as PanelOptions['thresholdStyle'] })
            }
          >
            <option value="line">Lines</option>
            <option value="area">Areas</option>
            <option value="both">Lines and areas</option>
          </Choice>
        )}
        <Rows<Threshold>
          name="threshold"
          rows={options.thresholds}
          newRow={{ value: 80, color: 'orange', label: null }}
          onChange={(thresholds) => onChange({ thresholds })}
        >
          {(threshold, change) => (
            <div className="grid grid-cols-2 gap-2">
              <NumberField
                label="From"
                value={threshold.value}
                empty={0}
                onChange={(value) => change({ value: value ?? 0 })}
              />
              <ColorField
                label="Colour"
                value={threshold.color}
                onChange={(color) => change({ color: color ?? 'orange' })}
              />
            </div>
          )}
        </Rows>
      </Section>

      <Section title={`Value mappings (${options.mappings.length})`}>
        <Rows<ValueMapping>
          name="mapping"
          rows={options.mappings}
          newRow={{ low: 0, high: 0, text: 'Down', color: null }}
          onChange={(mappings) => onChange({ mappings })}
        >
          {(mapping, change, index) => (
            <div className="grid grid-cols-2 gap-2">
              <NumberField
                label="From"
                value={mapping.low}
                error={fieldErrors[`options.mappings.${index}.low`]}
                onChange={(low) => change({ low: low ?? null })}
              />
              <NumberField
                label="To"
                value={mapping.high}
                onChange={(high) => change({ high: high ?? null })}
              />
              <Field
                label="Text"
                placeholder="The number"
                value={mapping.text ?? ''}
                error={fieldErrors[`options.mappings.${index}.text`]}
                onChange={(event) => change({ text: event.target.value || null })}
              />
              <ColorField
                label="Colour"
                optional
                value={mapping.color}
                onChange={(color) => change({ color })}
              />
            </div>
          )}
        </Rows>
      </Section>

      <Section title={`Series overrides (${options.overrides.length})`}>
        <Rows<SeriesOverride>
          name="override"
          rows={options.overrides}
          newRow={{
            match: '*',
            color: null,
            label: null,
            unit: null,
            hidden: null,
            negative: null,
          }}
          onChange={(overrides) => onChange({ overrides })}
        >
          {(override, change, index) => (
            <div className="grid grid-cols-2 gap-2">
              <Field
                label="Series"
                hint="* matches any text"
                value={override.match}
                error={fieldErrors[`options.overrides.${index}.match`] && 'Enter a series name.'}
                onChange={(event) => change({ match: event.target.value })}
              />
              <Field
                label="Display name"
                value={override.label ?? ''}
                onChange={(event) => change({ label: event.target.value || null })}
              />
              <ColorField
                label="Colour"
                optional
                value={override.color}
                onChange={(color) => change({ color })}
              />
              <UnitChoice value={override.unit} onChange={(unit) => change({ unit })} />
              <Check
                label="Hidden"
                checked={override.hidden ?? false}
                onChange={(event) => change({ hidden: event.target.checked || null })}
              />
              {timed && (
                <Check
                  label="Draw below zero"
                  checked={override.negative ?? false}
                  onChange={(event) => change({ negative: event.target.checked || null })}
                />
              )}
            </div>
          )}
        </Rows>
      </Section>

      <Section title={`Links (${options.links.length})`}>
        <Rows<PanelLink>
          name="link"
          rows={options.links}
          newRow={{ title: 'Runbook', url: 'https://' }}
          onChange={(links) => onChange({ links })}
        >
          {(link, change, index) => (
            <div className="space-y-2">
              <Field
                label="Title"
                value={link.title}
                error={fieldErrors[`options.links.${index}.title`] && 'Enter a title.'}
                onChange={(event) => change({ title: event.target.value })}
              />
              <Field
                label="URL"
                value={link.url}
                error={
                  fieldErrors[`options.links.${index}.url`] &&
                  'Must start with https://, http:// or /.'
                }
                onChange={(event) => change({ url: event.target.value })}
              />
            </div>
          )}
        </Rows>
      </Section>
    </>
  )
}

export function Section({
  title,
  open,
  children,
}: {
  title: string
  open?: boolean
  children: ReactNode
}) {
  return (
    <details open={open} className="rounded-lg border border-line bg-surface">
      <summary className="cursor-pointer px-3 py-2.5 text-sm font-medium select-none">
        {title}
      </summary>
      <div className="space-y-3 border-t border-line p-3">{children}</div>
    </details>
  )
}

type RowsProps<T> = {
  name: string
  rows: T[]
  newRow: T
  onChange: (rows: T[]) => void
  children: (row: T, change: (part: Partial<T>) => void, index: number) => ReactNode
}

function Rows<T>({ name, rows, newRow, onChange, children }: RowsProps<T>) {
  return (
    <>
      <ul className="space-y-3 empty:hidden">
        {rows.map((row, index) => (
          // Remount when rows are added or removed, so that typed text stays with its own row.
          <li key={`${rows.length}-${index}`} className="flex gap-2">
            <div className="min-w-0 flex-1">
              {children(
                row,
                (part) =>
                  onChange(rows.map((old, at) => (at === index ? { ...old, ...part } : old))),
                index,
              )}
            </div>
            <Button
              variant="ghost"
              className="mt-6 w-8 !px-0"
              aria-label={`Remove ${name} ${index + 1}`}
              onClick={() => onChange(rows.filter((_, at) => at !== index))}
            >
              <Trash2 size={15} aria-hidden="true" />
            </Button>
          </li>
        ))}
      </ul>
      <Button className="w-full" onClick={() => onChange([...rows, newRow])}>
        <Plus size={15} aria-hidden="true" /> Add {name}
      </Button>
    </>
  )
}

export function UnitChoice({
  value,
  onChange,
}: {
  value: string | null | undefined
  onChange: (unit: string | null) => void
}) {
  const known = UNIT_GROUPS.some((group) => value && value in group.units)
  return (
    <Choice
      label="Unit"
      value={value ?? ''}
      onChange={(event) => {
        const chosen = event.target.value
        onChange(
          chosen === 'own'
            ? (window.prompt('Unit shown after the number:') ?? value ?? null)
            : chosen || null,
        )
      }}
    >
      <option value="">Automatic</option>
      {value && !known && <option value={value}>{value}</option>}
      {UNIT_GROUPS.map((group) => (
        <optgroup key={group.label} label={group.label}>
          {Object.entries(group.units).map(([name, { label }]) => (
            <option key={name} value={name}>
              {label}
            </option>
          ))}
        </optgroup>
      ))}
      <option value="own">Custom…</option>
    </Choice>
  )
}
