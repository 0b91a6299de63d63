import { useQuery } from '@tanstack/react-query'
import { ChevronDown, ChevronUp, Plus, Trash2 } from 'lucide-react'
import { useId } from 'react'
import { getMetricTagsOptions, listMetricsOptions } from '@/api/generated/@tanstack/react-query.gen'
import type { Variable } from '@/api/generated/types.gen'
import { Button, Check, Choice, Field } from '@/components/ui/controls'
import { useTypedText } from '@/lib/use-typed-text'

type Props = {
  variables: Variable[]
  fieldErrors: Record<string, string>
  onChange: (variables: Variable[]) => void
}

const NEW: Variable = {
  name: '',
  label: null,
  type: 'tag',
  metric: null,
  tag: null,
  values: [],
  multi: true,
  includeAll: true,
  default: [],
}

const listOf = (text: string) =>
  text
    .split(',')
    .map((part) => part.trim())
    .filter(Boolean)

/** The variables of a dashboard, which viewers choose and queries use as `$name`. */
export function VariablesEditor({ variables, fieldErrors, onChange }: Props) {
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
          <li key={index} className="rounded-lg border border-line p-3">
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
        onClick={() => onChange([...variables, { ...NEW, name: `var${variables.length + 1}` }])}
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
          onChange(type === 'tag' ? { type, values: [] } : { type, metric: null, tag: null })
        }}
      >
        <option value="tag">A metric's tag</option>
        <option value="list">A list</option>
        <option value="interval">Intervals</option>
      </Choice>
      {variable.type === 'tag' ? (
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
      ) : (
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
      <div className="flex gap-4 sm:col-span-3">
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
