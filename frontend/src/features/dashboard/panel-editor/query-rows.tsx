import { CopyPlus, Eye, EyeOff, Plus, Trash2 } from 'lucide-react'
import { useId } from 'react'
import type { ApiError, Panel, PanelQuery } from '@/api/generated/types.gen'
import { Button, Check, Choice, Field } from '@/components/ui/controls'
import { DEFAULT_QUERY } from '@/lib/panel-defaults'
import { useTypedText } from '@/lib/use-typed-text'
import { refOf } from '../panel/panel-results'
import { JsonField } from './json-field'
import { AGGREGATIONS } from './new-query'
import { QueryError } from './query-error'
import { QueryInput } from './query-input'

type Props = {
  panel: Panel
  fieldErrors: Record<string, string>
  errorOf: (index: number) => ApiError | null | undefined
  onChange: (queries: PanelQuery[]) => void
}

const MOST = 50

/**
 * The queries with their letters written out: those that come later or go don't change the letter
 * of another, by which overrides and transformations find it.
 */
const named = (queries: PanelQuery[]): PanelQuery[] =>
  queries.map((query, index) => ({ ...query, ref: refOf(query, index) }))

/** A copy of a query with the first letter that no other has. */
function withFreeRef(query: PanelQuery, others: PanelQuery[]): PanelQuery {
  const taken = new Set(others.map(refOf))
  let index = 0
  while (taken.has(refOf({ ref: null }, index))) index += 1
  return { ...query, ref: refOf({ ref: null }, index) }
}

/** Queries that need no written letter, since they have it by their place. */
const unnamed = (queries: PanelQuery[]): PanelQuery[] =>
  queries.every((query, index) => query.ref === refOf({ ref: null }, index))
    ? queries.map((query) => ({ ...query, ref: null }))
    : queries

/** What stays with a query when others come or go: its letter, told apart where one comes twice. */
function keysOf(queries: PanelQuery[]): string[] {
  const letters = queries.map(refOf)
  return letters.map((letter, index) =>
    letters.indexOf(letter) === index ? letter : `${letter}-${index}`,
  )
}

/** The queries of a panel, each with its own error. */
export function QueryRows({ panel, fieldErrors, errorOf, onChange }: Props) {
  const { queries } = panel
  const keys = keysOf(queries)
  const set = (index: number, change: Partial<PanelQuery>) =>
    onChange(queries.map((query, at) => (at === index ? { ...query, ...change } : query)))
  return (
    <section aria-label="Queries" className="space-y-3">
      {queries.map((query, index) => (
        <QueryRow
          key={keys[index]}
          name={refOf(query, index)}
          query={query}
          fieldError={fieldErrors[`queries.${index}.query`] && 'Enter a metric or an expression.'}
          stepError={fieldErrors[`queries.${index}.step`] && 'For example 30s, 5m or 1h.'}
          groupError={groupError(fieldErrors, index)}
          error={errorOf(index)}
          only={queries.length === 1}
          onChange={(change) => set(index, change)}
          onDuplicate={() => {
            const all = named(queries)
            all.splice(index + 1, 0, withFreeRef(query, queries))
            onChange(unnamed(all))
          }}
          onRemove={() => onChange(unnamed(named(queries).filter((_, at) => at !== index)))}
        />
      ))}
      <Button
        disabled={queries.length >= MOST}
        onClick={() => onChange(unnamed([...named(queries), withFreeRef(DEFAULT_QUERY, queries)]))}
      >
        <Plus size={16} aria-hidden="true" /> Add query
      </Button>
    </section>
  )
}

/** Of the list as a whole or of one of its keys. */
const groupError = (fieldErrors: Record<string, string>, index: number) =>
  Object.keys(fieldErrors).some((field) => field.startsWith(`queries.${index}.groupBy`))
    ? 'Tag keys, separated by commas.'
    : undefined

type RowProps = {
  name: string
  query: PanelQuery
  fieldError: string | undefined
  stepError: string | undefined
  groupError: string | undefined
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
            {!(AGGREGATIONS as readonly string[]).includes(query.aggregation) && (
              <option value={query.aggregation}>{query.aggregation}</option>
            )}
            {AGGREGATIONS.map((how) => (
              <option key={how} value={how}>
                {how === 'none' ? 'none (newest)' : how}
              </option>
            ))}
          </Choice>
          <Field
            label="Group by"
            placeholder="Each series"
            value={groups}
            error={props.groupError}
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
          <Choice
            label="Result"
            value={query.format}
            onChange={(event) => onChange({ format: event.target.value as PanelQuery['format'] })}
          >
            <option value="series">Series</option>
            <option value="table">Table: a column for each label</option>
            <option value="heatmap">Buckets of a heatmap</option>
          </Choice>
          <div className="flex items-center sm:pt-5">
            <Check
              label="Newest value only"
              checked={query.instant}
              onChange={(event) => onChange({ instant: event.target.checked })}
            />
          </div>
        </div>
        {Object.keys(query.tags).length > 0 && (
          <details className="mt-3">
            <summary className="cursor-pointer text-sm text-muted">
              Tags ({Object.keys(query.tags).length})
            </summary>
            <div className="pt-2">
              <JsonField
                label={`Tags of query ${name}`}
                value={query.tags}
                onChange={(tags) => onChange({ tags: tags as PanelQuery['tags'] })}
              />
            </div>
          </details>
        )}
      </div>
    </fieldset>
  )
}
