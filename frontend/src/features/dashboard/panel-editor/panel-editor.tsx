import { useQuery } from '@tanstack/react-query'
import { useEffect, useRef, useState } from 'react'
import { getMeOptions } from '@/api/generated/@tanstack/react-query.gen'
import type { Dashboard, Panel } from '@/api/generated/types.gen'
import { zPlacedPanel } from '@/api/generated/zod.gen'
import { framesOf } from '@/charts/frames'
import { transformed } from '@/charts/transformations'
import { ErrorBoundary } from '@/components/error-boundary'
import { Button, Card, Empty, Failure, Page, Skeleton } from '@/components/ui/controls'
import { messageOf } from '@/lib/errors'
import { isLive, refreshEvery, type TimeRange } from '@/lib/time-range'
import { useDebounced } from '@/lib/use-debounced'
import { useUnsaved } from '@/lib/use-unsaved'
import { errorsByField, readableField } from '@/lib/validation-errors'
import { type Zone, ZoneContext } from '@/lib/zone'
import { boardScopeOf } from '../board-scope'
import { type BoardSearch, variableKey } from '../board-search'
import { difference, mergedPanel } from '../edit-mode/changes'
import { change, withdrawn } from '../edit-mode/draft'
import { newPanel } from '../edit-mode/new-panel'
import { UnsavedBar } from '../edit-mode/unsaved-bar'
import { boardOptions, type Editing, useDraft } from '../edit-mode/use-draft'
import { RefreshContext } from '../panel/data-age'
import { refOf, responsesOf } from '../panel/panel-results'
import { PanelView } from '../panel/panel-view'
import { RangePicker } from '../range-picker'
import { RefreshControl } from '../refresh-control'
import { fillPanel } from '../resolve-panels'
import { type BoardData, responseId, useBoardData } from '../use-board-data'
import { useVariables } from '../use-variables'
import { VariableBar } from '../variable-bar'
import { mappingErrors } from './list-options'
import { WITHOUT_QUERY } from './option-fields'
import { OptionsForm } from './options-form'
import { hideInvalid, queryErrors } from './query-errors'
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
  if (!board || (board.canEdit && !editing)) {
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

/** What can't be saved, by name: the field itself may be in a section that is folded. */
function Wrong({ fields }: { fields: string[] }) {
  const options = fields.filter((field) => field.startsWith('options.'))
  if (!options.length) return null
  const names = options.map((field) => {
    const [, option = '', place] = field.split('.')
    const words = option.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)
    return place === undefined ? words : `${words} ${Number(place) + 1}`
  })
  return (
    <p role="alert" className="rounded-lg border border-danger p-3 text-sm text-danger">
      Not valid: {[...new Set(names)].join(', ')}.
    </p>
  )
}

/** The names of the columns that a transformation is given: those of the preview's results. */
function columnsOf(panel: Panel, data: BoardData | undefined, step: number): string[] {
  const responses = responsesOf(panel, data).map(({ query, response }, index) => ({
    query,
    response,
    ref: refOf(query, index),
  }))
  const frames = transformed(framesOf(responses), panel.options.transformations.slice(0, step))
  return [...new Set(frames.flatMap(({ fields }) => fields.map(({ name }) => name)))]
}

const NO_PANELS: Panel[] = []

type FormProps = Props & { board: Dashboard; editing: Editing; opened: Panel | undefined }

function Form({ board, editing, opened: first, search, onSearch, onLeave }: FormProps) {
  const { store, saver } = editing
  // The panel when editing began: if someone else changes it meanwhile, that is a conflict.
  const [opened, setOpened] = useState(first)
  const [panel, setPanel] = useState<Panel>(() => first ?? newPanel(board, store.getState().panels))
  const [fieldErrors, setFieldErrors] = useState<Record<string, string>>({})
  const [saving, setSaving] = useState(false)
  const dirty = !opened || difference([opened], [panel]) !== 'none'
  const letGo = useUnsaved(dirty, 'Leave without saving this panel?')
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
  const { variables, scope } = useVariables(
    board.settings.variables,
    NO_PANELS,
    search,
    range,
    zone,
  )
  const viewer = useQuery(getMeOptions()).data?.data
  const fill = (one: Panel) =>
    scope ? fillPanel(one, boardScopeOf(scope, board.name, viewer)) : one
  const preview = {
    ...panel,
    options: validOptions,
    queries: hideInvalid(debounced),
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
  /** What Save has put into the draft, which may be saved only later. */
  const applied = useRef<{ before: Panel[]; after: Panel[]; panel: Panel }>(undefined)
  const left = useRef(false)
  const leave = () => {
    if (left.current) return
    left.current = true
    letGo()
    onLeave()
  }
  const discard = () => {
    const { before, after } = applied.current ?? {}
    if (before && after) store.setState((draft) => withdrawn(draft, before, after))
    leave()
  }
  const save = async () => {
    const wanted = { ...panel, title: panel.title.trim() }
    const checked = zPlacedPanel.safeParse(wanted)
    const found = checked.success ? {} : errorsByField(checked.error)
    // The API takes a panel without a title, as imported ones are; a new one is easier to find by it.
    if (!wanted.title && opened?.title !== '' && !['text', 'row'].includes(wanted.type))
      found.title = 'Enter a title.'
    const { min, max } = wanted.options
    if (typeof min === 'number' && typeof max === 'number' && min >= max) {
      found['options.max'] = 'Must be greater than the minimum.'
    }
    Object.assign(found, mappingErrors(wanted.options.mappings, 'options.mappings'))
    wanted.options.overrides.forEach(({ mappings }, index) => {
      Object.assign(found, mappingErrors(mappings ?? [], `options.overrides.${index}.mappings`))
    })
    setFieldErrors(found)
    if (Object.keys(found).length) return
    setSaving(true)
    const before = applied.current?.before ?? store.getState().panels
    store.setState((draft) => {
      const there = draft.panels.find((one) => one.id === wanted.id)
      const theirs = opened && draft.base.panels.find((one) => one.id === opened.id)
      const known = draft.past.some((panels) => panels.some((one) => one === opened))
      const overtaken =
        opened !== undefined &&
        !known &&
        (!theirs || difference([theirs], [{ ...opened, position: theirs.position }]) !== 'none')
      // What someone else has changed in it meanwhile stays theirs, where we have not.
      const merged = overtaken && there ? mergedPanel(opened, wanted, there) : wanted
      // The position comes from the dashboard: it may have been moved meanwhile.
      const placed = there ? { ...merged, position: there.position } : merged
      const next = change(
        draft,
        there
          ? draft.panels.map((one) => (one.id === wanted.id ? placed : one))
          : [...draft.panels, placed],
      )
      return overtaken ? { ...next, state: 'conflict' as const } : next
    })
    applied.current = { before, after: store.getState().panels, panel }
    const outcome = await saver.flush()
    setSaving(false)
    if (outcome === 'saved' || outcome === 'nothing') leave()
  }
  // A save that had to wait ends like one that did not, unless the panel was changed since.
  const latest = useRef({ panel, leave })
  latest.current = { panel, leave }
  useEffect(
    () =>
      store.subscribe((draft) => {
        const { panel: shown, leave: now } = latest.current
        const saved = draft.state === 'saved' && applied.current?.panel === shown
        if (saved && draft.panels.some(({ id }) => id === shown.id)) now()
      }),
    [store],
  )
  const resolved = (how: 'reloaded' | 'saved') => {
    if (how === 'saved') return leave()
    applied.current = undefined
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
          <Button onClick={discard}>Discard</Button>
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
      <UnsavedBar editing={editing} onResolved={resolved} />
      {Object.keys(fieldErrors).length > 0 && (
        <p role="alert" className="mb-3 rounded-lg border border-danger bg-surface p-3 text-sm">
          <strong className="font-medium">Not saved.</strong>{' '}
          {Object.entries(fieldErrors)
            .map(([field, error]) => `${readableField(field)}: ${error}`)
            .join(' ')}
        </p>
      )}
      <VariableBar
        variables={variables}
        onChoose={(name, values) => onSearch({ ...search, [variableKey(name)]: values })}
      />
      <ZoneContext value={zone}>
        <div className="grid gap-4 lg:grid-cols-[minmax(0,1fr)_22rem]">
          <div className="min-w-0 space-y-4">
            <div className="h-80">
              <ErrorBoundary shown={panel} onRetry={() => void refetch()}>
                <RefreshContext value={refreshEvery(range, refresh)}>
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
              {!WITHOUT_QUERY.includes(panel.type) && (
                <QueryRows
                  panel={panel}
                  fieldErrors={{ ...queryErrors(panel.queries), ...fieldErrors }}
                  errorOf={(index) => data?.responses.get(responseId(panel.id, index))?.error}
                  onChange={(queries) => set({ queries })}
                />
              )}
            </ErrorBoundary>
          </div>
          <ErrorBoundary shown={panel.options}>
            <div className="space-y-3">
              <Wrong fields={Object.keys({ ...wrongOptions, ...fieldErrors })} />
              <OptionsForm
                panel={panel}
                variables={board.settings.variables}
                fieldErrors={{ ...wrongOptions, ...fieldErrors }}
                columnsBefore={(step) => columnsOf(fill(preview), data, step)}
                onChange={set}
              />
            </div>
          </ErrorBoundary>
        </div>
      </ZoneContext>
    </Page>
  )
}
