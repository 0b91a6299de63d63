import { ChevronDown, TriangleAlert, X } from 'lucide-react'
import { useState } from 'react'
import type { QueryFilter, VariableOption } from '@/api/generated/types.gen'
import { Button, Select } from '@/components/ui/controls'
import { Popover } from '@/components/ui/popover'
import { ALL, listed as listedText } from '@/lib/variables'
import { type BoardVariable, filterText, parseFilter } from './use-variables'

type Props = { variables: BoardVariable[]; onChoose: (name: string, values: string[]) => void }

/** The variables of a board, above its panels. */
export function VariableBar({ variables, onChoose }: Props) {
  const shown = variables.filter(
    ({ variable }) => variable.hide !== 'variable' && variable.type !== 'constant',
  )
  if (!shown.length) return null
  return (
    <section aria-label="Variables" className="mb-3 flex flex-wrap gap-x-4 gap-y-2">
      {shown.map((each) => {
        const { variable, failure } = each
        const label = variable.label || variable.name
        const choose = (values: string[]) => onChoose(variable.name, values)
        return (
          <div key={variable.name} className="flex min-w-0 items-center gap-2">
            {variable.hide !== 'label' && (
              <span
                className="text-muted"
                aria-hidden="true"
                title={variable.description ?? undefined}
              >
                {label}
              </span>
            )}
            {variable.type === 'text' ? (
              <TypedValue {...each} label={label} onChoose={choose} />
            ) : variable.type === 'filters' ? (
              <Filters {...each} label={label} onChoose={choose} />
            ) : variable.multi ? (
              <Many {...each} label={label} onChoose={choose} />
            ) : (
              <One {...each} label={label} onChoose={choose} />
            )}
            {failure && (
              <span role="img" aria-label={failure} title={failure} className="text-danger">
                <TriangleAlert size={15} aria-hidden="true" />
              </span>
            )}
          </div>
        )
      })}
    </section>
  )
}

type ChoiceProps = BoardVariable & { label: string; onChoose: (values: string[]) => void }

/** The options, and what is chosen without being one of them. */
function withChosen(options: VariableOption[], values: string[]): VariableOption[] {
  const known = new Set(options.map(({ value }) => value))
  const others = values.filter((value) => !known.has(value))
  return [...options, ...others.map((value) => ({ text: value, value }))]
}

function TypedValue({ chosen, label, onChoose }: ChoiceProps) {
  const current = chosen.values[0] ?? ''
  const [text, setText] = useState(current)
  const [before, setBefore] = useState(current)
  if (before !== current) {
    setBefore(current)
    setText(current)
  }
  const apply = () => text !== current && onChoose([text])
  return (
    <input
      aria-label={label}
      className="h-9 w-40 rounded-md border border-line bg-surface px-2"
      value={text}
      onChange={(event) => setText(event.target.value)}
      onBlur={apply}
      onKeyDown={(event) => event.key === 'Enter' && apply()}
    />
  )
}

/** Filters on every query, written like matchers: `host="web-1"`. */
function Filters({ variable, chosen, label, onChoose }: ChoiceProps) {
  const [text, setText] = useState('')
  const [wrong, setWrong] = useState(false)
  const filters = chosen.values.flatMap((value) => parseFilter(value) ?? [])
  const set = (next: QueryFilter[]) => onChoose(next.length ? next.map(filterText) : [''])
  const add = () => {
    const match = /^\s*([a-zA-Z_][\w.]*)\s*(=~|!~|!=|=)\s*"?(.*?)"?\s*$/.exec(text)
    setWrong(!match)
    if (!match) return
    set([
      ...filters,
      ...([parseFilter(`${match[1]}|${match[2]}|${match[3]}`)].filter(Boolean) as QueryFilter[]),
    ])
    setText('')
  }
  return (
    <span className="flex flex-wrap items-center gap-1.5">
      {filters.map((filter, index) => (
        <span
          key={filterText(filter)}
          className="flex h-8 items-center gap-1 rounded-md border border-line bg-raised pl-2"
        >
          {filter.key} {filter.operator} {filter.value}
          <button
            type="button"
            aria-label={`Remove the filter on ${filter.key}`}
            className="grid size-7 place-items-center rounded text-muted hover:text-text"
            onClick={() => set(filters.filter((_, at) => at !== index))}
          >
            <X size={14} aria-hidden="true" />
          </button>
        </span>
      ))}
      <input
        aria-label={`Add to ${label || variable.name}`}
        aria-invalid={wrong}
        title={wrong ? 'Write a filter like host="web-1"' : undefined}
        placeholder='host="web-1"'
        className="h-9 w-36 rounded-md border border-line bg-surface px-2 placeholder:text-muted aria-invalid:border-danger"
        value={text}
        onChange={(event) => setText(event.target.value)}
        onKeyDown={(event) => event.key === 'Enter' && add()}
      />
    </span>
  )
}

function One({ variable, options, chosen, label, onChoose }: ChoiceProps) {
  const current = chosen.all ? ALL : (chosen.values[0] ?? '')
  const listed = withChosen(options, chosen.all ? [] : chosen.values)
  return (
    <Select
      label={label}
      className="max-w-56"
      value={current}
      onChange={(event) => onChoose([event.target.value])}
    >
      {variable.includeAll && <option value={ALL}>All</option>}
      {!listed.length && !variable.includeAll && <option value="">None</option>}
      {listed.map(({ text, value }) => (
        <option key={value} value={value}>
          {text}
        </option>
      ))}
    </Select>
  )
}

function Many({ variable, options, chosen, label, onChoose }: ChoiceProps) {
  const [filter, setFilter] = useState('')
  const listed = withChosen(options, chosen.values)
  const shown = listed.filter(({ text }) => text.toLowerCase().includes(filter.toLowerCase()))
  const texts = new Map(listed.map((option) => [option.value, option.text]))
  const text = chosen.all
    ? 'All'
    : listedText(chosen.values.map((value) => texts.get(value) ?? value)) || 'None'
  const toggle = (value: string) => {
    const before = chosen.all ? [] : chosen.values
    const next = before.includes(value)
      ? before.filter((other) => other !== value)
      : [...before, value]
    if (next.length) onChoose(next)
    else if (variable.includeAll) onChoose([ALL])
  }
  return (
    <Popover
      label={`Choose ${label}`}
      align="start"
      className="w-64"
      trigger={
        <Button className="max-w-64" aria-label={`${label}: ${text}`}>
          <span className="truncate">{text}</span>
          <ChevronDown size={14} className="shrink-0 text-muted" aria-hidden="true" />
        </Button>
      }
    >
      {listed.length > 8 && (
        <input
          type="search"
          aria-label={`Filter ${label}`}
          placeholder="Filter"
          className="mb-2 h-8 w-full rounded-md border border-line bg-surface px-2 placeholder:text-muted"
          value={filter}
          onChange={(event) => setFilter(event.target.value)}
        />
      )}
      <fieldset className="max-h-72 overflow-y-auto">
        <legend className="sr-only">{label}</legend>
        {variable.includeAll && !filter && (
          <Tick text="All" ticked={chosen.all} onToggle={() => onChoose([ALL])} />
        )}
        {shown.map(({ text, value }) => (
          <Tick
            key={value}
            text={text}
            ticked={!chosen.all && chosen.values.includes(value)}
            onToggle={() => toggle(value)}
          />
        ))}
        {!shown.length && <p className="p-2 text-muted">No matching values.</p>}
      </fieldset>
    </Popover>
  )
}

function Tick({ text, ticked, onToggle }: { text: string; ticked: boolean; onToggle: () => void }) {
  return (
    <label className="flex cursor-pointer items-center gap-2 rounded px-2 py-1.5 hover:bg-raised">
      <input type="checkbox" checked={ticked} onChange={onToggle} />
      <span className="truncate">{text}</span>
    </label>
  )
}
