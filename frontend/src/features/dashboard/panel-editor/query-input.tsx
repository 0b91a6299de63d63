import { useQuery } from '@tanstack/react-query'
import clsx from 'clsx'
import { type KeyboardEvent, useDeferredValue, useId, useRef, useState } from 'react'
import { getMetricTagsOptions, listMetricsOptions } from '@/api/generated/@tanstack/react-query.gen'
import { FIELD } from '@/components/ui/controls'
import { callAt, complete, functionsFor, type Token, tokenAt, typedOf } from './completion'

type Choice = { text: string; note: string; help?: string }
type Props = {
  label: string
  value: string
  invalid: boolean
  describedBy: string
  onChange: (value: string) => void
}

const MOST = 12

function useChoices(token: Token, open: boolean): Choice[] {
  const deferred = useDeferredValue(token)
  const metrics = useQuery({
    ...listMetricsOptions({ query: { prefix: typedOf(deferred), pageSize: MOST } }),
    enabled: open && deferred.kind === 'metric',
    placeholderData: (before) => before,
    staleTime: 30_000,
  })
  const metric = 'metric' in deferred ? deferred.metric : ''
  const tags = useQuery({
    ...getMetricTagsOptions({ path: { name: metric }, query: { limit: 100 } }),
    enabled: open && metric !== '',
    retry: false,
    staleTime: 30_000,
  })
  if (token.kind === 'none') return []
  if (token.kind === 'metric') {
    const found = (metrics.data?.data ?? [])
      .filter((metric) => metric.name.startsWith(typedOf(token)))
      .map((metric) => ({
        text: metric.name,
        note: [
          `${metric.seriesCount} series`,
          metric.type === 'unknown' ? '' : metric.type,
          metric.unit ?? '',
        ]
          .filter(Boolean)
          .join(' · '),
        help: metric.description ?? '',
      }))
    return [...found, ...functionsFor(token.quoted ? '' : token.text)].slice(0, MOST)
  }
  if (token.kind === 'tag' || token.kind === 'label') {
    return (tags.data?.data ?? [])
      .filter((tag) => tag.key.startsWith(typedOf(token)))
      .map((tag) => ({ text: tag.key, note: `${tag.seriesCount} series` }))
      .slice(0, MOST)
  }
  const values = tags.data?.data.find((tag) => tag.key === token.tag)?.values ?? []
  return values
    .filter((value) => value.value.toLowerCase().includes(token.text.toLowerCase()))
    .map((value) => ({ text: value.value, note: `${value.seriesCount} series` }))
    .slice(0, MOST)
}

/** A query, with completion of metrics, tags and tag values. */
export function QueryInput({ label, value, invalid, describedBy, onChange }: Props) {
  const input = useRef<HTMLInputElement>(null)
  const [caret, setCaret] = useState(0)
  const [open, setOpen] = useState(false)
  const [active, setActive] = useState(0)
  const list = useId()
  const token = tokenAt(value, caret)
  const choices = useChoices(token, open)
  const done = choices.length === 1 && choices[0]?.text === token.text
  const shown = open && choices.length > 0 && !done
  const help = shown ? choices[Math.min(active, choices.length - 1)]?.help : ''
  const call = open && !shown ? callAt(value, caret) : null
  const choose = (choice: Choice) => {
    const next = complete(value, token, choice.text)
    onChange(next.query)
    setCaret(next.caret)
    // After a tag, offer its values.
    setOpen(token.kind === 'tag')
    setActive(0)
    requestAnimationFrame(() => {
      input.current?.focus()
      input.current?.setSelectionRange(next.caret, next.caret)
    })
  }
  const onKeyDown = (event: KeyboardEvent) => {
    if (!shown) {
      if (event.key === 'ArrowDown' || (event.key === ' ' && event.ctrlKey)) setOpen(true)
      return
    }
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key]
    const choice = choices[Math.min(active, choices.length - 1)]
    if (step) setActive((before) => (before + step + choices.length) % choices.length)
    else if (event.key === 'Enter' || event.key === 'Tab') {
      if (choice) choose(choice)
    } else if (event.key === 'Escape') setOpen(false)
    else return
    event.preventDefault()
  }
  return (
    <div className="relative min-w-0 flex-1">
      <input
        ref={input}
        role="combobox"
        aria-label={label}
        aria-expanded={shown}
        aria-controls={list}
        aria-autocomplete="list"
        aria-activedescendant={shown ? `${list}-${active}` : undefined}
        aria-invalid={invalid || undefined}
        aria-describedby={describedBy}
        spellCheck={false}
        autoComplete="off"
        placeholder="Metric or expression"
        className={clsx(FIELD, 'font-mono !text-[13px]')}
        value={value}
        onChange={(event) => {
          onChange(event.target.value)
          setCaret(event.target.selectionStart ?? 0)
          setOpen(true)
          setActive(0)
        }}
        onSelect={(event) => setCaret(event.currentTarget.selectionStart ?? 0)}
        onClick={() => setOpen(true)}
        onKeyDown={onKeyDown}
        onBlur={() => setOpen(false)}
      />
      <div
        id={list}
        role="listbox"
        aria-label="Completions"
        hidden={!shown}
        className="absolute z-30 mt-1 max-h-72 w-full max-w-lg overflow-y-auto rounded-lg border border-line bg-surface p-1 shadow-xl"
      >
        {shown &&
          choices.map((choice, index) => (
            <div
              key={choice.text}
              id={`${list}-${index}`}
              role="option"
              tabIndex={-1}
              aria-selected={index === active}
              // On mousedown, before the blur that would close the list.
              onMouseDown={(event) => {
                event.preventDefault()
                choose(choice)
              }}
              className="flex cursor-pointer gap-3 rounded px-2 py-1.5 font-mono text-[13px] hover:bg-raised aria-selected:bg-raised"
            >
              <span className="max-w-3/4 shrink-0 truncate">{choice.text}</span>
              <span className="ml-auto min-w-0 truncate font-sans text-xs text-muted">
                {choice.note}
              </span>
            </div>
          ))}
      </div>
      {(help || call) && (
        <p
          aria-live="polite"
          className="pointer-events-none bottom-full mb-1 absolute z-30 max-w-full truncate rounded-md border border-line bg-raised px-2 py-1 text-xs text-muted shadow-lg"
        >
          {help || call?.hint}
        </p>
      )}
    </div>
  )
}
