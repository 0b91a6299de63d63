import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { ChartLine, CornerDownLeft, LayoutDashboard, Search } from 'lucide-react'
import { type KeyboardEvent, useDeferredValue, useEffect, useId, useRef, useState } from 'react'
import { getDashboardsOptions, listMetricsOptions } from '@/api/generated/@tanstack/react-query.gen'
import { Keys } from '@/components/shortcuts-dialog'
import { useShortcutTable } from '@/lib/shortcuts'
import { type Action, actionsFor, moveSelection } from './palette-actions'

type Props = {
  actions: Action[]
  onDashboard: (id: string) => void
  onMetric: (name: string) => void
  onClose: () => void
}

const SHOWN = 8

type Result = {
  id: string
  label: string
  detail?: string
  keys?: string
  icon: typeof Search
  run: () => void
}

/** One field that finds dashboards, metrics and actions. The arrow keys select, Enter opens. */
export function SearchPalette({ actions, onDashboard, onMetric, onClose }: Props) {
  const dialog = useRef<HTMLDialogElement>(null)
  const [text, setText] = useState('')
  const [active, setActive] = useState(0)
  const deferredText = useDeferredValue(text.trim())
  const tables = useShortcutTable((state) => state.tables)
  const id = useId()
  useEffect(() => dialog.current?.showModal(), [])

  const boards = useQuery({
    ...getDashboardsOptions({
      query: { search: deferredText, order: deferredText ? 'name' : 'viewed', pageSize: SHOWN },
    }),
    placeholderData: keepPreviousData,
  })
  const metrics = useQuery({
    ...listMetricsOptions({ query: { prefix: deferredText, pageSize: SHOWN } }),
    placeholderData: keepPreviousData,
  })
  const done = (run: () => void) => () => {
    dialog.current?.close()
    run()
  }
  // Enter must not open a result of an older text: results are filtered by the current one.
  const matches = ({ name, description }: { name: string; description?: string | null }) =>
    `${name} ${description ?? ''}`.toLowerCase().includes(text.trim().toLowerCase())
  const groups: { title: string; results: Result[] }[] = [
    {
      title: 'Dashboards',
      results: (boards.data?.data ?? []).filter(matches).map((board) => ({
        id: board.id,
        label: board.name,
        detail: board.description,
        icon: LayoutDashboard,
        run: done(() => onDashboard(board.id)),
      })),
    },
    {
      title: 'Actions',
      results: actionsFor(text, actions, [...tables.values()].flat()).map((action) => ({
        id: action.label,
        label: action.label,
        keys: action.keys,
        icon: CornerDownLeft,
        run: done(action.run),
      })),
    },
    {
      title: 'Metrics',
      results: (metrics.data?.data ?? []).filter(matches).map((metric) => ({
        id: metric.name,
        label: metric.name,
        detail: metric.description ?? `${metric.seriesCount} series`,
        icon: ChartLine,
        run: done(() => onMetric(metric.name)),
      })),
    },
  ].filter(({ results }) => results.length)
  const flat = groups.flatMap(({ results }) => results)
  const current = Math.min(active, flat.length - 1)
  const optionId = (index: number) => `${id}-${index}`

  const onKey = (event: KeyboardEvent) => {
    const next = moveSelection(event.key, current, flat.length)
    if (next !== undefined) {
      event.preventDefault()
      setActive(next)
      document.getElementById(optionId(next))?.scrollIntoView({ block: 'nearest' })
    } else if (event.key === 'Enter') {
      event.preventDefault()
      flat[current]?.run()
    }
  }
  let nextIndex = 0
  return (
    <dialog
      ref={dialog}
      aria-label="Search"
      onClose={onClose}
      onClick={(event) => event.target === dialog.current && dialog.current.close()}
      onKeyDown={onKey}
      className="mx-auto mt-[12vh] mb-auto w-[min(36rem,calc(100vw-1.5rem))] overflow-hidden rounded-xl border border-line bg-surface p-0 text-text shadow-2xl backdrop:bg-black/40"
    >
      <div className="flex items-center gap-2.5 border-b border-line px-4">
        <Search size={17} className="shrink-0 text-muted" aria-hidden="true" />
        <input
          role="combobox"
          aria-label="Search dashboards, metrics and actions"
          aria-expanded="true"
          aria-controls={`${id}-list`}
          aria-autocomplete="list"
          aria-activedescendant={flat.length ? optionId(current) : undefined}
          placeholder="Dashboards, metrics, actions"
          className="h-12 w-full bg-transparent text-base outline-none placeholder:text-muted"
          value={text}
          onChange={(event) => {
            setText(event.target.value)
            setActive(0)
          }}
        />
      </div>
      <div
        id={`${id}-list`}
        role="listbox"
        aria-label="Results"
        className="max-h-[min(26rem,60vh)] overflow-y-auto p-2"
      >
        {groups.map(({ title, results }) => (
          // biome-ignore lint/a11y/useSemanticElements: a listbox groups its options by this role
          <div key={title} role="group" aria-label={title}>
            <p className="px-2 pt-2 pb-1 text-xs font-medium text-muted" aria-hidden="true">
              {title}
            </p>
            {results.map(({ id: key, label, detail, keys, icon: Icon, run }) => {
              const index = nextIndex++
              return (
                // biome-ignore lint/a11y/useKeyWithClickEvents: the field above has the keyboard
                <div
                  key={key}
                  id={optionId(index)}
                  role="option"
                  tabIndex={-1}
                  aria-selected={index === current}
                  className="flex cursor-pointer items-center gap-2.5 rounded-md px-2 py-2 aria-selected:bg-raised"
                  onClick={run}
                  onPointerMove={() => setActive(index)}
                >
                  <Icon size={16} className="shrink-0 text-muted" aria-hidden="true" />
                  <span className="min-w-0 truncate">{label}</span>
                  {detail && (
                    <span className="ml-auto max-w-[50%] truncate text-xs text-muted">
                      {detail}
                    </span>
                  )}
                  {keys && (
                    <span className="ml-auto">
                      <Keys keys={keys} />
                    </span>
                  )}
                </div>
              )
            })}
          </div>
        ))}
        {!flat.length && (
          <p className="px-2 py-8 text-center text-muted">
            {boards.isPending || metrics.isPending ? 'Searching…' : `No results for “${text}”`}
          </p>
        )}
      </div>
    </dialog>
  )
}
