import { ChevronUp, Plus, Trash2 } from 'lucide-react'
import { useId } from 'react'
import type { Transformation } from '@/api/generated/types.gen'
import { Area, Button, Check, Choice, Field } from '@/components/ui/controls'
import { useTypedText } from '@/lib/use-typed-text'
import { NumberField } from './fields'
import { JsonField } from './json-field'
import { at, REDUCERS, type Setting, TRANSFORMATIONS, withValue } from './transformation-fields'

type Json = Record<string, unknown>
type Props = {
  steps: Transformation[]
  /** The names of the columns that a step is given. */
  columnsBefore: (step: number) => string[]
  onChange: (steps: Transformation[]) => void
}

/** The steps that change results before they are shown, in order. */
export function TransformationsForm({ steps, columnsBefore, onChange }: Props) {
  const put = (index: number, change: Partial<Transformation>) =>
    onChange(steps.map((step, place) => (place === index ? { ...step, ...change } : step)))
  const up = (index: number) => {
    const moved = [...steps]
    const [step] = moved.splice(index, 1)
    if (step) moved.splice(index - 1, 0, step)
    onChange(moved)
  }
  return (
    <>
      <ol className="space-y-3 empty:hidden">
        {steps.map((step, index) => (
          <li key={`${steps.length}-${index}`} className="rounded-md border border-line p-2">
            <div className="flex items-end gap-1">
              <div className="min-w-0 flex-1">
                <Choice
                  label={`Step ${index + 1}`}
                  value={step.id}
                  onChange={(event) => put(index, { id: event.target.value, options: {} })}
                >
                  {!TRANSFORMATIONS[step.id] && (
                    <option value={step.id}>{step.id} (not carried out)</option>
                  )}
                  {Object.entries(TRANSFORMATIONS).map(([id, { label }]) => (
                    <option key={id} value={id}>
                      {label}
                    </option>
                  ))}
                </Choice>
              </div>
              <Button
                variant="ghost"
                className="w-8 !px-0"
                aria-label={`Move step ${index + 1} up`}
                disabled={index === 0}
                onClick={() => up(index)}
              >
                <ChevronUp size={15} aria-hidden="true" />
              </Button>
              <Button
                variant="ghost"
                className="w-8 !px-0"
                aria-label={`Remove step ${index + 1}`}
                onClick={() => onChange(steps.filter((_, place) => place !== index))}
              >
                <Trash2 size={15} aria-hidden="true" />
              </Button>
            </div>
            <div className="mt-2 space-y-2">
              <Check
                label="Carried out"
                checked={!step.disabled}
                onChange={(event) => put(index, { disabled: !event.target.checked })}
              />
              <Settings
                id={step.id}
                options={step.options ?? {}}
                columns={columnsBefore(index)}
                onChange={(options) => put(index, { options })}
              />
              <details>
                <summary className="cursor-pointer text-xs text-muted">All options as JSON</summary>
                <div className="pt-2">
                  <JsonField
                    label={`Options of step ${index + 1}`}
                    value={step.options ?? {}}
                    onChange={(options) => put(index, { options })}
                  />
                </div>
              </details>
            </div>
          </li>
        ))}
      </ol>
      <Button
        className="w-full"
        onClick={() => onChange([...steps, { id: 'organize', disabled: false, options: {} }])}
      >
        <Plus size={15} aria-hidden="true" /> Add transformation
      </Button>
    </>
  )
}

type SettingsProps = {
  id: string
  options: Json
  columns: string[]
  onChange: (options: Json) => void
}

function Settings(props: SettingsProps) {
  const { id, options, columns, onChange } = props
  const list = useId()
  if (id === 'organize') return <Organize {...props} />
  if (id === 'groupBy') return <GroupBy {...props} />
  const settings = TRANSFORMATIONS[id]?.settings ?? []
  return (
    <>
      {settings.some(({ as }) => as === 'field') && (
        <datalist id={list}>
          {columns.map((name) => (
            <option key={name} value={name} />
          ))}
        </datalist>
      )}
      {settings
        .filter((setting) => fits(setting, options))
        .map((setting) => (
          <SettingInput
            key={setting.path}
            setting={setting}
            list={list}
            value={at(options, setting.path)}
            onChange={(value) => onChange(withValue(options, setting.path, value))}
          />
        ))}
      {id === 'filterByValue' && <Conditions {...props} list={list} />}
    </>
  )
}

/** Whether a setting of `calculateField` belongs to its mode; those of others always do. */
function fits({ path }: Setting, options: Json): boolean {
  const mode = options.mode ?? 'reduceRow'
  if (path.startsWith('binary.')) return mode === 'binary'
  if (path.startsWith('reduce.')) return mode === 'reduceRow'
  return true
}

type SettingProps = {
  setting: Setting
  list: string
  value: unknown
  onChange: (value: unknown) => void
}

function SettingInput({ setting, list, value, onChange }: SettingProps) {
  const { label, hint } = setting
  const said = { label, ...(hint ? { hint } : {}) }
  switch (setting.as) {
    case 'check':
      return (
        <Check
          {...said}
          checked={value === true}
          onChange={(event) => onChange(event.target.checked)}
        />
      )
    case 'number':
      return (
        <NumberField
          label={label}
          min={0}
          value={typeof value === 'string' ? Number(value) : (value as number | null)}
          onChange={(number) => onChange(number ?? undefined)}
        />
      )
    case 'lines':
      return <Lines {...said} value={value} onChange={onChange} />
    case 'reducers':
      return <Reducers label={label} value={value} onChange={onChange} />
    case 'choice': {
      const known = setting.choices.some(([each]) => each === value)
      return (
        <Choice
          {...said}
          value={typeof value === 'string' ? value : ''}
          onChange={(event) => onChange(event.target.value || undefined)}
        >
          {!known && (
            <option value={typeof value === 'string' ? value : ''}>
              {typeof value === 'string' && value ? value : 'Default'}
            </option>
          )}
          {setting.choices.map(([each, name]) => (
            <option key={each} value={each ?? ''}>
              {name}
            </option>
          ))}
        </Choice>
      )
    }
    default: {
      // Newer files write a column as a matcher, which stays in JSON.
      if (typeof value === 'object' && value !== null)
        return <p className="text-xs text-muted">{label}: see the options as JSON.</p>
      return (
        <Field
          {...said}
          {...(setting.as === 'field' ? { list } : {})}
          value={value === undefined || value === null ? '' : String(value)}
          onChange={(event) => onChange(event.target.value || undefined)}
        />
      )
    }
  }
}

const linesOf = (text: string) => text.split('\n').filter((line) => line !== '')

/** A list of texts, one a line. */
function Lines({
  label,
  hint,
  value,
  onChange,
}: {
  label: string
  hint?: string
  value: unknown
  onChange: (value: unknown) => void
}) {
  const given = Array.isArray(value) ? value.map(String) : []
  const [text, setText] = useTypedText(given, linesOf, (lines) => lines.join('\n'))
  return (
    <Area
      label={label}
      {...(hint ? { hint } : {})}
      className="!min-h-14"
      value={text}
      onChange={(event) => {
        setText(event.target.value)
        const lines = linesOf(event.target.value)
        onChange(lines.length ? lines : undefined)
      }}
    />
  )
}

function Reducers({
  label,
  value,
  onChange,
}: {
  label: string
  value: unknown
  onChange: (value: string[]) => void
}) {
  const chosen = Array.isArray(value) ? value.map(String) : []
  const known = REDUCERS.map(([id]) => id ?? '')
  const others = chosen.filter((id) => !known.includes(id))
  return (
    <fieldset>
      <legend className="mb-1 text-sm font-medium">{label}</legend>
      <div className="grid grid-cols-2 gap-1">
        {[...REDUCERS, ...others.map((id) => [id, id] as const)].map(([id, name]) => (
          <Check
            key={id}
            label={name}
            checked={chosen.includes(id ?? '')}
            onChange={(event) =>
              onChange(
                event.target.checked ? [...chosen, id ?? ''] : chosen.filter((one) => one !== id),
              )
            }
          />
        ))}
      </div>
    </fieldset>
  )
}

const object = (value: unknown): Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : {}

/** Columns to hide, rename and order: those that there are, and those that the options name. */
function Organize({ options, columns, onChange }: SettingsProps) {
  const hidden = object(options.excludeByName)
  const order = object(options.indexByName)
  const names = object(options.renameByName)
  const known = [
    ...new Set([...columns, ...Object.keys(hidden), ...Object.keys(order), ...Object.keys(names)]),
  ]
  const place = (name: string) =>
    typeof order[name] === 'number' ? (order[name] as number) : Number.MAX_SAFE_INTEGER
  const sorted = [...known].sort((a, b) => place(a) - place(b))
  const put = (part: string, name: string, value: unknown) => {
    const { [name]: _, ...others } = object(options[part])
    onChange({ ...options, [part]: value === undefined ? others : { ...others, [name]: value } })
  }
  const up = (index: number) => {
    const moved = [...sorted]
    const [name] = moved.splice(index, 1)
    if (name !== undefined) moved.splice(index - 1, 0, name)
    onChange({ ...options, indexByName: Object.fromEntries(moved.map((each, at) => [each, at])) })
  }
  if (!sorted.length)
    return <p className="text-xs text-muted">The queries return no columns yet.</p>
  return (
    <ul className="space-y-1">
      {sorted.map((name, index) => (
        <li key={name} className="flex items-center gap-1">
          <input
            type="checkbox"
            className="size-4 shrink-0 accent-(--accent)"
            aria-label={`Show ${name}`}
            checked={hidden[name] !== true}
            onChange={(event) =>
              put('excludeByName', name, event.target.checked ? undefined : true)
            }
          />
          <span className="w-24 shrink-0 truncate text-xs" title={name}>
            {name}
          </span>
          <input
            className="h-8 min-w-0 flex-1 rounded-md border border-line bg-surface px-2 text-xs"
            aria-label={`New name of ${name}`}
            placeholder={name}
            value={typeof names[name] === 'string' ? (names[name] as string) : ''}
            onChange={(event) => put('renameByName', name, event.target.value || undefined)}
          />
          <Button
            variant="ghost"
            className="!h-7 w-7 !px-0"
            aria-label={`Move ${name} forward`}
            disabled={index === 0}
            onClick={() => up(index)}
          >
            <ChevronUp size={14} aria-hidden="true" />
          </Button>
        </li>
      ))}
    </ul>
  )
}

/** What each column is in groups: left out, what they are grouped by, or calculated. */
function GroupBy({ options, columns, onChange }: SettingsProps) {
  const fields = object(options.fields)
  const known = [...new Set([...columns, ...Object.keys(fields)])]
  const put = (name: string, value: Json | undefined) => {
    const { [name]: _, ...others } = fields
    onChange({ ...options, fields: value ? { ...others, [name]: value } : others })
  }
  if (!known.length) return <p className="text-xs text-muted">The queries return no columns yet.</p>
  return (
    <ul className="space-y-2">
      {known.map((name) => {
        const own = object(fields[name])
        const operation = typeof own.operation === 'string' ? own.operation : ''
        return (
          <li key={name}>
            <Choice
              label={name}
              value={operation}
              onChange={(event) => {
                const chosen = event.target.value
                put(name, chosen ? { aggregations: [], ...own, operation: chosen } : undefined)
              }}
            >
              <option value="">Left out</option>
              <option value="groupby">Group by it</option>
              <option value="aggregate">Calculate</option>
            </Choice>
            {operation === 'aggregate' && (
              <Reducers
                label={`Calculations of ${name}`}
                value={own.aggregations}
                onChange={(aggregations) => put(name, { ...own, aggregations })}
              />
            )}
          </li>
        )
      })}
    </ul>
  )
}

const CONDITIONS = [
  ['greater', '>'],
  ['greaterOrEqual', '≥'],
  ['lower', '<'],
  ['lowerOrEqual', '≤'],
  ['equal', '='],
  ['notEqual', '≠'],
  ['substring', 'contains'],
  ['notSubstring', 'does not contain'],
  ['regex', 'matches'],
  ['isNull', 'has no value'],
  ['isNotNull', 'has a value'],
  ['between', 'is between'],
] as const

/** The conditions of a filter by value. */
function Conditions({ options, list, onChange }: SettingsProps & { list: string }) {
  const filters = Array.isArray(options.filters) ? options.filters.map(object) : []
  const put = (index: number, path: string, value: unknown) =>
    onChange({
      ...options,
      filters: filters.map((each, place) =>
        place === index ? withValue(each, path, value) : each,
      ),
    })
  return (
    <div className="space-y-2">
      {filters.map((filter, index) => {
        const how = at(filter, 'config.id')
        const bounds = how === 'between' || how === 'range' ? ['from', 'to'] : ['value']
        return (
          <fieldset key={`${filters.length}-${index}`} className="grid grid-cols-2 gap-2">
            <legend className="sr-only">Condition {index + 1}</legend>
            <Field
              label="Column"
              list={list}
              value={String(filter.fieldName ?? '')}
              onChange={(event) => put(index, 'fieldName', event.target.value)}
            />
            <Choice
              label="Condition"
              value={typeof how === 'string' ? how : ''}
              onChange={(event) => put(index, 'config.id', event.target.value)}
            >
              {!CONDITIONS.some(([id]) => id === how) && (
                <option value={typeof how === 'string' ? how : ''}>{String(how ?? '')}</option>
              )}
              {CONDITIONS.map(([id, name]) => (
                <option key={id} value={id}>
                  {name}
                </option>
              ))}
            </Choice>
            {how !== 'isNull' &&
              how !== 'isNotNull' &&
              bounds.map((bound) => (
                <Field
                  key={bound}
                  label={bound === 'value' ? 'Value' : bound === 'from' ? 'Least' : 'Most'}
                  value={String(at(filter, `config.options.${bound}`) ?? '')}
                  onChange={(event) =>
                    put(index, `config.options.${bound}`, numberOr(event.target.value))
                  }
                />
              ))}
            <Button
              variant="ghost"
              className="col-span-2"
              onClick={() =>
                onChange({ ...options, filters: filters.filter((_, place) => place !== index) })
              }
            >
              <Trash2 size={14} aria-hidden="true" /> Remove condition {index + 1}
            </Button>
          </fieldset>
        )
      })}
      <Button
        onClick={() =>
          onChange({
            type: 'include',
            match: 'all',
            ...options,
            filters: [
              ...filters,
              { fieldName: 'Value', config: { id: 'greater', options: { value: 0 } } },
            ],
          })
        }
      >
        <Plus size={14} aria-hidden="true" /> Add condition
      </Button>
    </div>
  )
}

/** A number where the text is one as it would be written, so that typing goes on. */
const numberOr = (text: string): string | number =>
  text !== '' && String(Number(text)) === text ? Number(text) : text
