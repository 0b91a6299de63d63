import { Plus, Trash2 } from 'lucide-react'
import { type ReactNode, useState } from 'react'
import type {
  FieldLink,
  Panel,
  PanelLink,
  PanelOptions,
  SeriesOverride,
  Threshold,
  ValueMapping,
} from '@/api/generated/types.gen'
import { Button, Choice, Field } from '@/components/ui/controls'
import { DEFAULT_MAPPING, DEFAULT_OVERRIDE } from '@/lib/panel-defaults'
import { useRowKeys } from '@/lib/use-row-keys'
import { ColorField, NumberField } from './fields'
import { isShown, THRESHOLD_FIELDS, WITHOUT_QUERY } from './option-fields'
import { OptionInput } from './option-input'
import { OverrideInput } from './override-input'

type Props = {
  panel: Panel
  fieldErrors: Record<string, string>
  onChange: (change: Partial<PanelOptions>) => void
}

/** The options that are lists: thresholds, mappings, overrides and links. */
export function ListOptions({ panel, fieldErrors, onChange }: Props) {
  const { options, type } = panel
  const queried = !WITHOUT_QUERY.includes(type)
  return (
    <>
      {(queried || options.thresholds.length > 0) && (
        <Section
          title={`Thresholds (${options.thresholds.length})`}
          wrong={within(fieldErrors, 'thresholds')}
        >
          {THRESHOLD_FIELDS.filter((field) => isShown(field, type, options)).map((field) => (
            <OptionInput
              key={field.key}
              field={field}
              value={options[field.key]}
              error={fieldErrors[`options.${field.key}`]}
              onChange={(value) => onChange({ [field.key]: value })}
            />
          ))}
          <ThresholdRows
            rows={options.thresholds}
            onChange={(thresholds) => onChange({ thresholds })}
          />
        </Section>
      )}
      {(queried || options.mappings.length > 0) && (
        <Section
          title={`Value mappings (${options.mappings.length})`}
          wrong={within(fieldErrors, 'mappings')}
        >
          <MappingRows
            rows={options.mappings}
            path="options.mappings"
            fieldErrors={fieldErrors}
            onChange={(mappings) => onChange({ mappings })}
          />
        </Section>
      )}
      {(queried || options.overrides.length > 0) && (
        <Section
          title={`Series overrides (${options.overrides.length})`}
          wrong={within(fieldErrors, 'overrides')}
        >
          <Rows<SeriesOverride>
            name="override"
            rows={options.overrides}
            newRow={{ ...DEFAULT_OVERRIDE, match: '*' }}
            onChange={(overrides) => onChange({ overrides })}
          >
            {(override, change, index) => (
              <OverrideInput
                override={override}
                type={type}
                path={`options.overrides.${index}`}
                fieldErrors={fieldErrors}
                onChange={change}
              />
            )}
          </Rows>
        </Section>
      )}
      {(queried || options.fieldLinks.length > 0) && (
        <Section
          title={`Data links (${options.fieldLinks.length})`}
          wrong={within(fieldErrors, 'fieldLinks')}
        >
          <LinkRows<FieldLink>
            name="data link"
            rows={options.fieldLinks}
            path="options.fieldLinks"
            fieldErrors={fieldErrors}
            onChange={(fieldLinks) => onChange({ fieldLinks })}
          />
        </Section>
      )}
      <Section title={`Links (${options.links.length})`} wrong={within(fieldErrors, 'links')}>
        <LinkRows<PanelLink>
          name="link"
          rows={options.links}
          path="options.links"
          fieldErrors={fieldErrors}
          onChange={(links) => onChange({ links })}
        />
      </Section>
    </>
  )
}

type ListProps<T> = {
  rows: T[]
  /** The field of the list, such as `options.mappings`. */
  path: string
  fieldErrors: Record<string, string>
  onChange: (rows: T[]) => void
}

export function ThresholdRows({ rows, onChange }: Pick<ListProps<Threshold>, 'rows' | 'onChange'>) {
  return (
    <Rows<Threshold>
      name="threshold"
      rows={rows}
      newRow={{ value: 80, color: 'orange', label: null }}
      onChange={onChange}
    >
      {(threshold, change) => (
        <div className="grid grid-cols-2 gap-2">
          <NumberField
            label="From"
            value={threshold.value}
            required
            onChange={(value) => change({ value: value ?? Number.NaN })}
          />
          <ColorField
            label="Colour"
            value={threshold.color}
            onChange={(color) => change({ color: color ?? 'orange' })}
          />
          {typeof threshold.label === 'string' && (
            <Field
              label="Label"
              value={threshold.label}
              onChange={(event) => change({ label: event.target.value })}
            />
          )}
        </div>
      )}
    </Rows>
  )
}

/** What a mapping is for: numbers, texts, or no value. */
const conditionOf = ({ pattern, special }: ValueMapping) =>
  special ? 'special' : pattern !== null && pattern !== undefined ? 'pattern' : 'range'

const CONDITIONS: Record<string, Partial<ValueMapping>> = {
  range: { low: 0, high: 0, pattern: null, special: null },
  pattern: { low: null, high: null, pattern: '*', special: null },
  special: { low: null, high: null, pattern: null, special: 'empty' },
}

export function MappingRows({ rows, path, fieldErrors, onChange }: ListProps<ValueMapping>) {
  return (
    <Rows<ValueMapping>
      name="mapping"
      rows={rows}
      newRow={{ ...DEFAULT_MAPPING, low: 0, high: 0, text: 'Down' }}
      onChange={onChange}
    >
      {(mapping, change, index) => (
        <div className="grid grid-cols-2 gap-2">
          <div className="col-span-2">
            <Choice
              label="For"
              value={conditionOf(mapping)}
              onChange={(event) => change(CONDITIONS[event.target.value] ?? {})}
            >
              <option value="range">Numbers</option>
              <option value="pattern">Texts</option>
              <option value="special">No value</option>
            </Choice>
          </div>
          {conditionOf(mapping) === 'range' && (
            <>
              <NumberField
                label="From"
                value={mapping.low}
                error={fieldErrors[`${path}.${index}.low`]}
                onChange={(low) => change({ low: low ?? null })}
              />
              <NumberField
                label="To"
                value={mapping.high}
                error={fieldErrors[`${path}.${index}.high`]}
                onChange={(high) => change({ high: high ?? null })}
              />
            </>
          )}
          {conditionOf(mapping) === 'pattern' && (
            <div className="col-span-2">
              <Field
                label="Matching"
                hint="* matches any text"
                value={mapping.pattern ?? ''}
                error={fieldErrors[`${path}.${index}.pattern`] && 'Enter a text.'}
                onChange={(event) => change({ pattern: event.target.value })}
              />
            </div>
          )}
          <Field
            label="Text"
            placeholder="The value"
            value={mapping.text ?? ''}
            error={fieldErrors[`${path}.${index}.text`]}
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
  )
}

/** Mappings that say nothing or match nothing, by field. */
export function mappingErrors(rows: ValueMapping[], path: string): Record<string, string> {
  const found: Record<string, string> = {}
  rows.forEach((mapping, index) => {
    const { low, high, text, color } = mapping
    if (conditionOf(mapping) === 'range') {
      if (low === null && high === null) found[`${path}.${index}.low`] = 'Enter at least one bound.'
      else if (typeof low === 'number' && typeof high === 'number' && low > high)
        found[`${path}.${index}.low`] = 'Must not be greater than To.'
    }
    if (!text && !color) found[`${path}.${index}.text`] = 'Enter a text or choose a colour.'
  })
  return found
}

export function LinkRows<T extends { title: string; url: string }>({
  name,
  rows,
  path,
  fieldErrors,
  onChange,
}: ListProps<T> & { name: string }) {
  return (
    <Rows<T>
      name={name}
      rows={rows}
      newRow={{ title: 'Runbook', url: 'https://' } as T}
      onChange={onChange}
    >
      {(link, change, index) => (
        <div className="space-y-2">
          <Field
            label="Title"
            value={link.title}
            error={fieldErrors[`${path}.${index}.title`] && 'Enter a title.'}
            onChange={(event) => change({ title: event.target.value } as Partial<T>)}
          />
          <Field
            label="URL"
            value={link.url}
            error={
              fieldErrors[`${path}.${index}.url`] &&
              'Must start with https://, http:// or /, without spaces.'
            }
            onChange={(event) => change({ url: event.target.value } as Partial<T>)}
          />
        </div>
      )}
    </Rows>
  )
}

/** Whether one of these errors is of a list, such as `options.links`. */
const within = (errors: Record<string, string>, list: string) =>
  Object.keys(errors).some((field) => field.startsWith(`options.${list}.`))

export function Section({
  title,
  open = false,
  wrong = false,
  children,
}: {
  title: string
  open?: boolean
  /** Opens it, when something in it becomes wrong: an error that is hidden can't be mended. */
  wrong?: boolean
  children: ReactNode
}) {
  const [opened, setOpened] = useState(open)
  const [before, setBefore] = useState(wrong)
  if (before !== wrong) {
    setBefore(wrong)
    if (wrong) setOpened(true)
  }
  return (
    <details
      open={opened}
      onToggle={(event) => setOpened(event.currentTarget.open)}
      className="rounded-lg border border-line bg-surface"
    >
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

export function Rows<T extends object>({ name, rows, newRow, onChange, children }: RowsProps<T>) {
  const keys = useRowKeys(rows)
  return (
    <>
      <ul className="space-y-3 empty:hidden">
        {rows.map((row, index) => (
          <li key={keys[index]} className="flex gap-2">
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
      <Button className="w-full" onClick={() => onChange([...rows, { ...newRow }])}>
        <Plus size={15} aria-hidden="true" /> Add {name}
      </Button>
    </>
  )
}
