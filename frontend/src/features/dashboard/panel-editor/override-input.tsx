import { Trash2 } from 'lucide-react'
import { useState } from 'react'
import type { Panel, SeriesOverride } from '@/api/generated/types.gen'
import { Button, Choice, Field } from '@/components/ui/controls'
import { patternError, usePatterns } from '@/lib/patterns'
import { LinkRows, MappingRows, ThresholdRows } from './list-options'
import { OVERRIDE_FIELDS, OVERRIDE_LISTS } from './option-fields'
import { OptionInput } from './option-input'

type Props = {
  override: SeriesOverride
  type: Panel['type']
  /** Its field, such as `options.overrides.0`. */
  path: string
  fieldErrors: Record<string, string>
  onChange: (change: Partial<SeriesOverride>) => void
}

/** What `by` compares with, and how the field of `match` is called. */
const MATCHES: Record<string, { name: string; label: string; hint?: string }> = {
  name: { name: 'Name', label: 'Series', hint: '* matches any text' },
  pattern: { name: 'Regular expression', label: 'Regular expression' },
  query: { name: 'Query', label: 'Letter of the query' },
  type: { name: 'Type', label: 'Type of values' },
}

/** Always offered; what else an override may change is added first. */
const ALWAYS = ['label', 'color', 'unit', 'hidden', 'negative']

/** What an override matches and changes: what it sets is shown, the rest can be added. */
export function OverrideInput({ override, type, path, fieldErrors, onChange }: Props) {
  const [added, setAdded] = useState<ReadonlySet<string>>(new Set())
  const isSet = (key: keyof SeriesOverride) => override[key] !== null && override[key] !== undefined
  const shown = OVERRIDE_FIELDS.filter(
    ({ key, of }) =>
      isSet(key) || added.has(key) || (ALWAYS.includes(key) && (!of || of.includes(type))),
  )
  const lists = OVERRIDE_LISTS.filter(([key]) => isSet(key))
  const offered = [
    ...OVERRIDE_FIELDS.filter((field) => !shown.includes(field)).map(
      ({ key, label }) => [key, label] as const,
    ),
    ...OVERRIDE_LISTS.filter(([key]) => !isSet(key)),
  ]
  const add = (key: string) => {
    if (OVERRIDE_LISTS.some(([list]) => list === key)) onChange({ [key]: [] })
    else setAdded(new Set([...added, key]))
  }
  const by = override.by ?? 'name'
  const matched: { label: string; hint?: string } = MATCHES[by] ?? { label: 'Series' }
  usePatterns(by === 'pattern')
  const wrong = by === 'pattern' ? patternError(override.match) : undefined
  const error = fieldErrors[`${path}.match`]
    ? 'Enter what it matches.'
    : wrong && `It matches nothing: ${wrong}.`
  return (
    <div className="space-y-3">
      <div className="grid grid-cols-2 gap-2">
        <Choice
          label="By"
          value={by}
          onChange={(event) => {
            const chosen = event.target.value as SeriesOverride['by']
            // A type is one of three words; a text of another kind is none of them.
            onChange({ by: chosen, ...(chosen === 'type' ? { match: 'number' } : {}) })
          }}
        >
          {Object.entries(MATCHES).map(([value, { name }]) => (
            <option key={value} value={value}>
              {name}
            </option>
          ))}
        </Choice>
        {by === 'type' ? (
          <Choice
            label={matched.label}
            value={override.match}
            error={error}
            onChange={(event) => onChange({ match: event.target.value })}
          >
            <option value="number">Numbers</option>
            <option value="text">Texts</option>
            <option value="time">Times</option>
          </Choice>
        ) : (
          <Field
            label={matched.label}
            {...(matched.hint ? { hint: matched.hint } : {})}
            value={override.match}
            error={error}
            onChange={(event) => onChange({ match: event.target.value })}
          />
        )}
        {shown.map((field) => (
          <OptionInput
            key={field.key}
            field={field}
            value={override[field.key]}
            error={fieldErrors[`${path}.${field.key}`]}
            onChange={(value) => onChange({ [field.key]: value })}
          />
        ))}
      </div>
      {lists.map(([key, label]) => (
        <fieldset key={key} className="space-y-2 rounded-md border border-line p-2">
          <legend className="flex items-center gap-1 px-1 text-sm font-medium">
            {label} of these
            <Button
              variant="ghost"
              className="!h-6 w-6 !px-0"
              aria-label={`Remove ${label.toLowerCase()} of the override`}
              onClick={() => onChange({ [key]: null })}
            >
              <Trash2 size={13} aria-hidden="true" />
            </Button>
          </legend>
          {key === 'thresholds' && (
            <ThresholdRows
              rows={override.thresholds ?? []}
              onChange={(thresholds) => onChange({ thresholds })}
            />
          )}
          {key === 'mappings' && (
            <MappingRows
              rows={override.mappings ?? []}
              path={`${path}.mappings`}
              fieldErrors={fieldErrors}
              onChange={(mappings) => onChange({ mappings })}
            />
          )}
          {key === 'links' && (
            <LinkRows
              name="data link"
              rows={override.links ?? []}
              path={`${path}.links`}
              fieldErrors={fieldErrors}
              onChange={(links) => onChange({ links })}
            />
          )}
        </fieldset>
      ))}
      {offered.length > 0 && (
        <Choice label="Change more" value="" onChange={(event) => add(event.target.value)}>
          <option value="">Choose…</option>
          {offered.map(([key, label]) => (
            <option key={key} value={key}>
              {label}
            </option>
          ))}
        </Choice>
      )}
    </div>
  )
}
