import { ChevronDown, TriangleAlert } from 'lucide-react'
import { useState } from 'react'
import { Button, Select } from '@/components/ui/controls'
import { Popover } from '@/components/ui/popover'
import { ALL, listed as listedText } from '@/lib/variables'
import type { BoardVariable } from './use-variables'

type Props = { variables: BoardVariable[]; onChoose: (name: string, values: string[]) => void }

/** The variables of a board, above its panels. */
export function VariableBar({ variables, onChoose }: Props) {
  if (!variables.length) return null
  return (
    <section aria-label="Variables" className="mb-3 flex flex-wrap gap-x-4 gap-y-2">
      {variables.map((each) => {
        const { variable, failure } = each
        const label = variable.label || variable.name
        const choose = (values: string[]) => onChoose(variable.name, values)
        return (
          <div key={variable.name} className="flex min-w-0 items-center gap-2">
            <span className="text-muted" aria-hidden="true">
              {label}
            </span>
            {variable.multi ? (
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

function One({ variable, options, chosen, label, onChoose }: ChoiceProps) {
  const current = chosen.all ? ALL : (chosen.values[0] ?? '')
  const listed = [...new Set([...options, ...(chosen.all ? [] : chosen.values)])]
  return (
    <Select
      label={label}
      className="max-w-56"
      value={current}
      onChange={(event) => onChoose([event.target.value])}
    >
      {variable.includeAll && <option value={ALL}>All</option>}
      {!listed.length && !variable.includeAll && <option value="">None</option>}
      {listed.map((value) => (
        <option key={value}>{value}</option>
      ))}
    </Select>
  )
}

function Many({ variable, options, chosen, label, onChoose }: ChoiceProps) {
  const [filter, setFilter] = useState('')
  const listed = [...new Set([...options, ...chosen.values])]
  const shown = listed.filter((value) => value.toLowerCase().includes(filter.toLowerCase()))
  const text = chosen.all ? 'All' : listedText(chosen.values) || 'None'
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
        {shown.map((value) => (
          <Tick
            key={value}
            text={value}
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
