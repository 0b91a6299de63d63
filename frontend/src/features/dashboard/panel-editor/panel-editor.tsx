import { useQuery } from '@tanstack/react-query'
import { useBlocker } from '@tanstack/react-router'
import { useRef, useState } from 'react'
import type { Dashboard, Panel } from '@/api/generated/types.gen'
import { zPlacedPanel } from '@/api/generated/zod.gen'
import { ErrorBoundary } from '@/components/error-boundary'
import { Button, Card, Empty, Failure, Page, Skeleton } from '@/components/ui/controls'
import { messageOf } from '@/lib/errors'
import { intervalMs, isLive, type TimeRange } from '@/lib/time-range'
import { useDebounced } from '@/lib/use-debounced'
import { errorsByField } from '@/lib/validation-errors'
import { type Zone, ZoneContext } from '@/lib/zone'
import { type BoardSearch, variableKey } from '../board-search'
import { difference } from '../edit-mode/changes'
import { change } from '../edit-mode/draft'
import { ConflictBar } from '../edit-mode/edit-bar'
import { boardOptions, type Editing, useDraft } from '../edit-mode/use-draft'
import { RefreshContext } from '../panel/data-age'
import { PanelView } from '../panel/panel-view'
import { RangePicker } from '../range-picker'
import { RefreshControl } from '../refresh-control'
import { fillPanel } from '../resolve-panels'
import { responseId, useBoardData } from '../use-board-data'
import { useVariables } from '../use-variables'
import { VariableBar } from '../variable-bar'
import { newPanel } from './new-panel'
import { OptionsForm } from './options-form'
import { QueryRows } from './query-rows'

type Props = {
  id: string
  /** A panel's id, or `new`. */
  panelId: string
  search: BoardSearch
  onSearch: (change: BoardSearch) => void
  onLeave: () => void
}

export function PanelEditor(props: Props) {
  const { data: response, error, refetch } = useQuery(boardOptions(props.id))
  const board = response?.data
  const editing = useDraft(board)
  if (error && !board) {
    return (
      <Page title="Edit panel">
        <Card>
          <Failure message={messageOf(error)} onRetry={() => void refetch()} />
        </Card>
      </Page>
    )
  }
  if (!board) {
    return (
      <Page title="Edit panel">
        <Skeleton className="h-96" />
      </Page>
    )
  }
  const panels = editing?.store.getState().panels ?? []
  const opened =
    props.panelId === 'new' ? undefined : panels.find((one) => one.id === props.panelId)
  if (!editing || (props.panelId !== 'new' && !opened)) {
    return (
      <Page title="Edit panel">
        <Card>
          <Empty
            title={
              editing
                ? 'This panel is not on the dashboard'
                : "You don't have permission to edit this dashboard"
            }
          >
            <Button className="mt-3" onClick={props.onLeave}>
              Go to dashboard
            </Button>
          </Empty>
        </Card>
      </Page>
    )
  }
  return <Form {...props} board={board} editing={editing} opened={opened} />
}

/** What is wrong with the options as they are typed, by field. */
function optionErrors(panel: Panel): Record<string, string> {
  const checked = zPlacedPanel.shape.options.safeParse(panel.options)
  if (checked.success) return {}
  const found = Object.entries(errorsByField(checked.error))
  return Object.fromEntries(found.map(([field, error]) => [`options.${field}`, error]))
}

type FormProps = Props & { board: Dashboard; editing: Editing; opened: Panel | undefined }

function Form({ board, editing, opened: first, search, onSearch, onLeave }: FormProps) {
  const { store, saver } = editing
  // The panel when editing began: if someone else changes it meanwhile, that is a conflict.
  const [opened, setOpened] = useState(first)
  const [panel, setPanel] = useState<Panel>(() => first ?? newPanel(board, store.getState().panels))
  const [fieldErrors, setFieldErrors] = useState<Record<string, string>>({})
  const [saving, setSaving] = useState(false)
  const leaving = useRef(false)
  const dirty = !opened || difference([opened], [panel]) !== 'none'
  useBlocker({
    shouldBlockFn: () =>
      dirty && !leaving.current && !window.confirm('Leave without saving this panel?'),
    enableBeforeUnload: () => dirty && !leaving.current,
  })
  const range: TimeRange = {
    from: search.from ?? `now-${board.settings.timeRange}`,
    to: search.to ?? 'now',
  }
  const zone: Zone = search.tz ?? board.settings.timezone
  const defaultRefresh = board.settings.refresh ?? 'off'
  const refresh = search.refresh ?? defaultRefresh
  const debounced = useDebounced(panel.queries, 350)
  // Options are drawn as soon as they are valid; until then the preview keeps the last ones.
  const wrongOptions = optionErrors(panel)
  const [validOptions, setValidOptions] = useState(panel.options)
  if (validOptions !== panel.options && !Object.keys(wrongOptions).length)
    setValidOptions(panel.options)
  const { variables, scope } = useVariables(board.settings.variables, [], search)
  const fill = (one: Panel) => (scope ? fillPanel(one, scope) : one)
  const preview = {
    ...panel,
    options: validOptions,
    queries: debounced.map((query) => (query.query.trim() ? query : { ...query, hidden: true })),
  }
  const { data, error, refetch, isFetching } = useBoardData(
    scope && [fill(preview)],
    range,
    zone,
    refresh,
  )

  const set = (part: Partial<Panel>) => {
    setPanel((before) => ({ ...before, ...part }))
    setFieldErrors({})
  }
  const leave = () => {
    leaving.current = true
    onLeave()
  }
  const save = async () => {
    const wanted = { ...panel, title: panel.title.trim() }
    const checked = zPlacedPanel.safeParse(wanted)
    const found = checked.success ? {} : errorsByField(checked.error)
    const { min, max } = wanted.options
    if (typeof min === 'number' && typeof max === 'number' && min >= max) {
      found['options.max'] = 'Must be greater than the minimum.'
    }
    wanted.options.mappings.forEach(({ low, high, text, color }, index) => {
      const path = `options.mappings.${index}.low`
      if (low === null && high === null) found[path] = 'Enter at least one bound.'
      else if (low !== null && high !== null && low > high)
        found[path] = 'Must not be greater than To.'
      if (!text && !color)
        found[`options.mappings.${index}.text`] = 'Enter a text or choose a colour.'
    })
    setFieldErrors(found)
    if (Object.keys(found).length) return
    setSaving(true)
    store.setState((draft) => {
      const there = draft.panels.find((one) => one.id === wanted.id)
      // The position comes from the dashboard: it may have been moved meanwhile.
      const placed = there ? { ...wanted, position: there.position } : wanted
      const next = change(
        draft,
        there
          ? draft.panels.map((one) => (one.id === wanted.id ? placed : one))
          : [...draft.panels, placed],
      )
      const theirs = opened && draft.base.panels.find((one) => one.id === opened.id)
      const known = draft.past.some((panels) => panels.some((one) => one === opened))
      const overtaken =
        opened !== undefined &&
        !known &&
        (!theirs || difference([theirs], [{ ...opened, position: theirs.position }]) !== 'none')
      return overtaken ? { ...next, state: 'conflict' as const } : next
    })
    const outcome = await saver.flush()
    setSaving(false)
    if (outcome === 'saved' || outcome === 'nothing') leave()
  }
  const resolved = (how: 'reloaded' | 'saved') => {
    if (how === 'saved') return leave()
    const theirs = store.getState().panels.find((one) => one.id === panel.id)
    if (!theirs) return leave()
    setOpened(theirs)
    setPanel(theirs)
  }
  return (
    <Page
      title={opened ? `Edit ${opened.title}` : 'New panel'}
      actions={
        <div className="flex min-w-0 flex-wrap items-center gap-2">
          <RangePicker
            range={range}
            zone={zone}
            onChange={(next) => onSearch({ ...search, ...next })}
            onZone={(tz) => onSearch({ ...search, tz })}
          />
          <RefreshControl
            refresh={refresh}
            defaultRefresh={defaultRefresh}
            live={isLive(range)}
            fetching={isFetching}
            onRefresh={() => void refetch()}
            onChange={(every) => onSearch({ ...search, refresh: every })}
          />
          <Button onClick={leave}>Discard</Button>
          <Button
            variant="primary"
            disabled={saving || (!dirty && Object.keys(fieldErrors).length === 0)}
            onClick={() => void save()}
          >
            Save panel
          </Button>
        </div>
      }
    >
      <ConflictBar editing={editing} onResolved={resolved} />
      <VariableBar
        variables={variables}
        onChoose={(name, values) => onSearch({ ...search, [variableKey(name)]: values })}
      />
      <ZoneContext value={zone}>
        <div className="grid gap-4 lg:grid-cols-[minmax(0,1fr)_22rem]">
          <div className="min-w-0 space-y-4">
            <div className="h-80">
              <ErrorBoundary shown={panel} onRetry={() => void refetch()}>
                <RefreshContext value={isLive(range) ? intervalMs(refresh) : undefined}>
                  <PanelView
                    filling
                    panel={fill({
                      ...preview,
                      queries:
                        panel.queries.length === debounced.length ? panel.queries : debounced,
                    })}
                    data={data}
                    failure={error ? messageOf(error) : undefined}
                    onRetry={() => void refetch()}
                    onZoom={(start, end) =>
                      onSearch({ ...search, from: String(start), to: String(end) })
                    }
                    onReset={() => onSearch({ ...search, from: undefined, to: undefined })}
                  />
                </RefreshContext>
              </ErrorBoundary>
            </div>
            <ErrorBoundary shown={panel.queries}>
              <QueryRows
                panel={panel}
                fieldErrors={fieldErrors}
                errorOf={(index) => data?.responses.get(responseId(panel.id, index))?.error}
                onChange={(queries) => set({ queries })}
              />
            </ErrorBoundary>
          </div>
          <ErrorBoundary shown={panel.options}>
            <OptionsForm
              panel={panel}
              variables={board.settings.variables}
              fieldErrors={{ ...wrongOptions, ...fieldErrors }}
              onChange={set}
            />
          </ErrorBoundary>
        </div>
      </ZoneContext>
    </Page>
  )
}
