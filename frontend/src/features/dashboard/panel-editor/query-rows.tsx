import { CopyPlus, Eye, EyeOff, Plus, Trash2 } from 'lucide-react'
import { useId } from 'react'
import type { ApiError, Panel, PanelQuery } from '@/api/generated/types.gen'
import { Button, Choice, Field } from '@/components/ui/controls'
import { useTypedText } from '@/lib/use-typed-text'
import { NEW_QUERY } from './new-query'
import { QueryError } from './query-error'
import { QueryInput } from './query-input'

type Props = {
  panel: Panel
  fieldErrors: Record<string, string>
  errorOf: (index: number) => ApiError | null | undefined
  onChange: (queries: PanelQuery[]) => void
}

const MOST = 26
const AGGREGATIONS = ['none', 'avg', 'min', 'max', 'sum', 'count', 'last'] as const
const letter = (index: number) => String.fromCharCode(65 + index)

/** The queries of a panel, each with its own error. */
export function QueryRows({ panel, fieldErrors, errorOf, onChange }: Props) {
  const { queries } = panel
  const set = (index: number, change: Partial<PanelQuery>) =>
    onChange(queries.map((query, at) => (at === index ? { ...query, ...change } : query)))
  return (
    <section aria-label="Queries" className="space-y-3">
      {queries.map((query, index) => (
        <QueryRow
          key={`${queries.length}-${index}`}
          name={letter(index)}
          query={query}
          fieldError={fieldErrors[`queries.${index}.query`] && 'Enter a metric or an expression.'}
          stepError={fieldErrors[`queries.${index}.step`] && 'For example 30s, 5m or 1h.'}
          error={errorOf(index)}
          only={queries.length === 1}
          onChange={(change) => set(index, change)}
          onDuplicate={() =>
            onChange([...queries.slice(0, index + 1), query, ...queries.slice(index + 1)])
          }
          onRemove={() => onChange(queries.filter((_, at) => at !== index))}
        />
      ))}
      <Button disabled={queries.length >= MOST} onClick={() => onChange([...queries, NEW_QUERY])}>
        <Plus size={16} aria-hidden="true" /> Add query
      </Button>
    </section>
  )
}

type RowProps = {
  name: string
  query: PanelQuery
  fieldError: string | undefined
  stepError: string | undefined
  error: ApiError | null | undefined
  only: boolean
  onChange: (change: Partial<PanelQuery>) => void
  onDuplicate: () => void
  onRemove: () => void
}

function readGroups(text: string): string[] | null {
  const keys = text
    .split(',')
    .map((key) => key.trim())
    .filter(Boolean)
  return keys.length ? keys : null
}

function QueryRow(props: RowProps) {
  const { name, query, fieldError, error, onChange } = props
  const errorId = useId()
  // The raw text: while `host, env` is typed, it has a comma before it has a second key.
  const [groups, setGroups] = useTypedText(
    query.groupBy?.length ? query.groupBy : null,
    readGroups,
    (keys) => keys?.join(', ') ?? '',
  )
  const group = (text: string) => {
    setGroups(text)
    onChange({ groupBy: readGroups(text) })
  }
  const icon = 'w-9 !px-0'
  return (
    <fieldset className="rounded-lg border border-line bg-surface p-3">
      <legend className="sr-only">Query {name}</legend>
      <div className="flex items-start gap-2">
        <span
          aria-hidden="true"
          className="grid size-9 shrink-0 place-items-center rounded-md bg-raised font-medium text-muted"
        >
          {name}
        </span>
        <QueryInput
          label={`Query ${name}`}
          value={query.query}
          invalid={Boolean(fieldError ?? error)}
          describedBy={errorId}
          onChange={(text) => onChange({ query: text })}
        />
        <Button
          variant="ghost"
          className={icon}
          aria-pressed={query.hidden}
          aria-label={query.hidden ? `Show query ${name}` : `Hide query ${name}`}
          title={query.hidden ? 'Hidden' : 'Hide'}
          onClick={() => onChange({ hidden: !query.hidden })}
        >
          {query.hidden ? (
            <EyeOff size={16} aria-hidden="true" />
          ) : (
            <Eye size={16} aria-hidden="true" />
          )}
        </Button>
        <Button
          variant="ghost"
          className={`${icon} max-sm:hidden`}
          aria-label={`Duplicate query ${name}`}
          title="Duplicate"
          onClick={props.onDuplicate}
        >
          <CopyPlus size={16} aria-hidden="true" />
        </Button>
        <Button
          variant="ghost"
          className={icon}
          aria-label={`Remove query ${name}`}
          title="Remove"
          disabled={props.only}
          onClick={props.onRemove}
        >
          <Trash2 size={16} aria-hidden="true" />
        </Button>
      </div>
      <div className="sm:pl-11">
        {fieldError ? (
          <p id={errorId} className="mt-1 text-xs text-danger">
            {fieldError}
          </p>
        ) : (
          error && <QueryError id={errorId} query={query.query} error={error} />
        )}
        <div className="mt-3 grid grid-cols-2 gap-3 sm:grid-cols-4">
          <Choice
            label="Aggregation"
            value={query.aggregation}
            onChange={(event) =>
              onChange({ aggregation: event.target.value as PanelQuery['aggregation'] })
            }
          >
            {AGGREGATIONS.map((how) => (
              <option key={how} value={how}>
                {how === 'none' ? 'none (newest sample)' : how}
              </option>
            ))}
          </Choice>
          <Field
            label="Group by"
            placeholder="Each series"
            value={groups}
            onChange={(event) => group(event.target.value)}
          />
          <Field
            label="Step"
            placeholder="Automatic"
            value={query.step ?? ''}
            error={props.stepError}
            onChange={(event) => onChange({ step: event.target.value || null })}
          />
          <Field
            label="Alias"
            placeholder="{{host}}"
            value={query.alias ?? ''}
            onChange={(event) => onChange({ alias: event.target.value || null })}
          />
        </div>
      </div>
    </fieldset>
  )
}
