import { useQuery } from '@tanstack/react-query'
import { ChevronDown, ChevronUp, Plus, Trash2 } from 'lucide-react'
import { useId } from 'react'
import { getMetricTagsOptions, listMetricsOptions } from '@/api/generated/@tanstack/react-query.gen'
import type { Variable } from '@/api/generated/types.gen'
import { Button, Check, Choice, Field } from '@/components/ui/controls'
import { DEFAULT_VARIABLE } from '@/lib/panel-defaults'
import { useRowKeys } from '@/lib/use-row-keys'
import { useTypedText } from '@/lib/use-typed-text'

type Props = {
  variables: Variable[]
  fieldErrors: Record<string, string>
  onChange: (variables: Variable[]) => void
}

const listOf = (text: string) =>
  text
    .split(',')
    .map((part) => part.trim())
    .filter(Boolean)

/** The variables of a dashboard, which viewers choose and queries use as `$name`. */
export function VariablesEditor({ variables, fieldErrors, onChange }: Props) {
  const keys = useRowKeys(variables)
  const set = (index: number, change: Partial<Variable>) =>
    onChange(variables.map((one, at) => (at === index ? { ...one, ...change } : one)))
  const swap = (index: number, other: number) => {
    const next = [...variables]
    const [moved] = next.splice(index, 1)
    if (moved) next.splice(other, 0, moved)
    onChange(next)
  }
  return (
    <div className="space-y-3">
      <p className="text-sm text-muted">
        Viewers choose a value above the dashboard. Use it in queries and titles as{' '}
        <code className="rounded bg-raised px-1">$name</code>.
      </p>
      <ul className="max-h-[50vh] space-y-3 overflow-y-auto">
        {variables.map((variable, index) => (
          <li key={keys[index]} className="rounded-lg border border-line p-3">
            <Row
              variable={variable}
              error={fieldErrors[`settings.variables.${index}.name`]}
              onChange={(change) => set(index, change)}
            />
            <div className="mt-2 flex justify-end gap-1">
              <Button
                variant="ghost"
                className="w-9 !px-0"
                aria-label={`Move ${variable.name || 'variable'} up`}
                disabled={index === 0}
                onClick={() => swap(index, index - 1)}
              >
                <ChevronUp size={16} aria-hidden="true" />
              </Button>
              <Button
                variant="ghost"
                className="w-9 !px-0"
                aria-label={`Move ${variable.name || 'variable'} down`}
                disabled={index === variables.length - 1}
                onClick={() => swap(index, index + 1)}
              >
                <ChevronDown size={16} aria-hidden="true" />
              </Button>
              <Button
                variant="ghost"
                className="w-9 !px-0 text-danger"
                aria-label={`Remove ${variable.name || 'variable'}`}
                onClick={() => onChange(variables.filter((_, at) => at !== index))}
              >
                <Trash2 size={16} aria-hidden="true" />
              </Button>
            </div>
          </li>
        ))}
      </ul>
      <Button
        onClick={() =>
          onChange([...variables, { ...DEFAULT_VARIABLE, name: `var${variables.length + 1}` }])
        }
      >
        <Plus size={16} aria-hidden="true" /> Add variable
      </Button>
    </div>
  )
}

type ListProps = {
  label: string
  hint?: string
  placeholder: string
  value: string[]
  onChange: (value: string[]) => void
}

function ListField({ value, onChange, ...rest }: ListProps) {
  const [text, setText] = useTypedText(value, listOf, (list) => list.join(', '))
  return (
    <Field
      value={text}
      onChange={(event) => {
        setText(event.target.value)
        onChange(listOf(event.target.value))
      }}
      {...rest}
    />
  )
}

type RowProps = {
  variable: Variable
  error: string | undefined
  onChange: (change: Partial<Variable>) => void
}

function Row({ variable, error, onChange }: RowProps) {
  const metrics = useId()
  const { data: found } = useQuery({
    ...listMetricsOptions({ query: { prefix: variable.metric ?? '', pageSize: 30 } }),
    enabled: variable.type === 'tag',
  })
  const known = found?.data.some((metric) => metric.name === variable.metric) ?? false
  const { data: tags } = useQuery({
    ...getMetricTagsOptions({ path: { name: variable.metric ?? '' }, query: { limit: 1 } }),
    enabled: variable.type === 'tag' && known,
    retry: false,
  })
  return (
    <div className="grid gap-3 sm:grid-cols-3">
      <Field
        label="Name"
        value={variable.name}
        error={error}
        onChange={(event) => onChange({ name: event.target.value })}
      />
      <Field
        label="Label"
        placeholder={variable.name}
        value={variable.label ?? ''}
        onChange={(event) => onChange({ label: event.target.value || null })}
      />
      <Choice
        label="Values from"
        value={variable.type}
        onChange={(event) => {
          const type = event.target.value as Variable['type']
          onChange({
            type,
            ...(type === 'tag' || type === 'query' ? { values: [] } : {}),
            ...(type === 'tag' ? {} : { metric: null, tag: null }),
            ...(type === 'constant' || type === 'text' ? { multi: false, includeAll: false } : {}),
          })
        }}
      >
        <option value="tag">A metric's tag</option>
        <option value="query">A query</option>
        <option value="list">A list</option>
        <option value="interval">Intervals</option>
        <option value="text">A text box</option>
        <option value="constant">A constant</option>
        <option value="filters">Filters on every query</option>
        {variable.type === 'dataSource' && <option value="dataSource">The data source</option>}
      </Choice>
      {variable.type === 'query' ? (
        <QueryFields variable={variable} onChange={onChange} />
      ) : variable.type === 'tag' ? (
        <>
          <Field
            label="Metric"
            list={metrics}
            value={variable.metric ?? ''}
            onChange={(event) => onChange({ metric: event.target.value || null })}
          />
          <datalist id={metrics}>
            {found?.data.map((metric) => (
              <option key={metric.name} value={metric.name} />
            ))}
          </datalist>
          <Field
            label="Tag"
            list={`${metrics}-tags`}
            value={variable.tag ?? ''}
            onChange={(event) => onChange({ tag: event.target.value || null })}
          />
          <datalist id={`${metrics}-tags`}>
            {tags?.data.map((tag) => (
              <option key={tag.key} value={tag.key} />
            ))}
          </datalist>
        </>
      ) : variable.type === 'constant' ? (
        <Field
          label="Value"
          value={variable.values[0] ?? ''}
          onChange={(event) => onChange({ values: [event.target.value] })}
        />
      ) : !['list', 'interval'].includes(variable.type) ? null : (
        <div className="sm:col-span-2">
          <ListField
            label="Values"
            hint="Comma-separated"
            value={variable.values}
            placeholder={variable.type === 'interval' ? '1m, 5m, 1h' : 'production, staging'}
            onChange={(values) => onChange({ values })}
          />
        </div>
      )}
      <ListField
        label="Default"
        placeholder={variable.includeAll ? 'All' : 'First value'}
        value={variable.default}
        onChange={(chosen) => onChange({ default: chosen })}
      />
      <Choice
        label="Shown"
        value={variable.hide}
        onChange={(event) => onChange({ hide: event.target.value as Variable['hide'] })}
      >
        <option value="none">Label and value</option>
        <option value="label">Value only</option>
        <option value="variable">Not at all</option>
      </Choice>
      {variable.includeAll && (
        <Field
          label="All stands for"
          placeholder="All values"
          value={variable.allValue ?? ''}
          onChange={(event) => onChange({ allValue: event.target.value || null })}
        />
      )}
      <div className="flex flex-wrap gap-4 sm:col-span-3">
        {variable.type === 'interval' && (
          <Check
            label="Offer auto"
            checked={variable.auto ?? false}
            onChange={(event) => onChange({ auto: event.target.checked })}
          />
        )}
        <Check
          label="Allow multiple values"
          checked={variable.multi}
          onChange={(event) => onChange({ multi: event.target.checked })}
        />
        <Check
          label="Include All"
          checked={variable.includeAll}
          onChange={(event) => onChange({ includeAll: event.target.checked })}
        />
      </div>
    </div>
  )
}

const SORTS: [NonNullable<Variable['sort']>, string][] = [
  ['natural', 'Natural (a2 before a10)'],
  ['naturalDesc', 'Natural, descending'],
  ['text', 'By text'],
  ['textDesc', 'By text, descending'],
  ['number', 'By number'],
  ['numberDesc', 'By number, descending'],
  ['textIgnoreCase', 'By text, ignoring case'],
  ['textIgnoreCaseDesc', 'By text, ignoring case, descending'],
  ['none', 'As they come'],
]

/** A query such as `label_values(up{job="$job"}, instance)`, and what becomes of its results. */
function QueryFields({ variable, onChange }: Omit<RowProps, 'error'>) {
  return (
    <>
      <div className="sm:col-span-3">
        <Field
          label="Query"
          hint="label_values(selector, label), label_names(), metrics(pattern) or query_result(expression)"
          placeholder='label_values(up{job="$job"}, instance)'
          className="font-mono"
          value={variable.query ?? ''}
          onChange={(event) => onChange({ query: event.target.value || null })}
        />
      </div>
      <Field
        label="Pattern"
        placeholder="/web-(.*)/"
        value={variable.regex ?? ''}
        onChange={(event) => onChange({ regex: event.target.value || null })}
      />
      <Choice
        label="Order"
        value={variable.sort}
        onChange={(event) => onChange({ sort: event.target.value as Variable['sort'] })}
      >
        {SORTS.map(([value, label]) => (
          <option key={value} value={value}>
            {label}
          </option>
        ))}
      </Choice>
      <Choice
        label="Listed"
        value={variable.refresh}
        onChange={(event) => onChange({ refresh: event.target.value as Variable['refresh'] })}
      >
        <option value="load">When the dashboard is opened</option>
        <option value="range">Also when the time range changes</option>
      </Choice>
    </>
  )
}
