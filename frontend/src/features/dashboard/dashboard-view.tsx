import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { lazy, type ReactNode, Suspense, useMemo, useRef, useState } from 'react'
import { getMeOptions } from '@/api/generated/@tanstack/react-query.gen'
import type { Panel, Variable } from '@/api/generated/types.gen'
import { AddData } from '@/components/add-data'
import { ErrorBoundary } from '@/components/error-boundary'
import { Card, Empty, Failure, Page, Skeleton } from '@/components/ui/controls'
import { messageOf } from '@/lib/errors'
import { describeRange, refreshEvery, type TimeRange } from '@/lib/time-range'
import { type Zone, ZoneContext } from '@/lib/zone'
import { AlertOnPanel } from './alert-on-panel'
import { BoardPanels } from './board-panels'
import { boardScopeOf } from './board-scope'
import { type BoardSearch, variableKey } from './board-search'
import { BoardToolbar } from './board-toolbar'
import { BoardMenu } from './edit-mode/board-menu'
import { PanelMenu } from './edit-mode/panel-menu'
import { UnsavedBar } from './edit-mode/unsaved-bar'
import { boardOptions, POLL, useDraft, useDraftPanels } from './edit-mode/use-draft'
import { FavouriteButton } from './favourite-button'
import { LinkContextProvider } from './field-links'
import { Kiosk } from './kiosk'
import { RefreshContext } from './panel/data-age'
import { PanelView } from './panel/panel-view'
import { fillPanel, originalId, resolveBoard, type Tab } from './resolve-panels'
import { RowHead } from './row-head'
import { useLongBoardData } from './use-board-data'
import { filtersOf, useVariables } from './use-variables'
import { VariableBar } from './variable-bar'
import { ViewerMenuItems } from './viewer-menu-items'
import { ObservePanelContext, useVisiblePanels } from './visible-panels'

const EditBar = lazy(() =>
  import('./edit-mode/edit-bar').then(({ EditBar }) => ({ default: EditBar })),
)
const EditGrid = lazy(() =>
  import('./edit-mode/edit-grid').then(({ EditGrid }) => ({ default: EditGrid })),
)
const InspectPanel = lazy(() =>
  import('./inspect-panel').then(({ InspectPanel }) => ({ default: InspectPanel })),
)

type Props = { id: string; search: BoardSearch; onSearch: (change: BoardSearch) => void }

const NO_VARIABLES: Variable[] = []
const NO_PANELS: Panel[] = []

export function DashboardView({ id, search, onSearch }: Props) {
  const {
    data: response,
    error,
    refetch,
  } = useQuery({
    ...boardOptions(id),
    refetchInterval: POLL,
    refetchIntervalInBackground: false,
  })
  const board = response?.data
  const range: TimeRange = {
    from: search.from ?? `now-${board?.settings.timeRange ?? '1h'}`,
    to: search.to ?? 'now',
  }
  const zone: Zone = search.tz ?? board?.settings.timezone ?? 'browser'
  const defaultRefresh = board ? (board.settings.refresh ?? 'off') : '10s'
  const refresh = search.refresh ?? defaultRefresh
  const {
    variables,
    scope,
    retry: retryVariables,
  } = useVariables(
    board?.settings.variables ?? NO_VARIABLES,
    board?.panels ?? NO_PANELS,
    search,
    range,
    zone,
  )
  const viewer = useQuery(getMeOptions()).data?.data
  // Rows that the viewer has folded (true) or unfolded; others are as they were saved.
  const [folds, setFolds] = useState<ReadonlyMap<string, boolean>>(new Map())
  const folded = (row: Panel) => folds.get(row.id) ?? row.options.collapsed ?? false
  const boardScope = useMemo(() => {
    if (!board || !scope) return undefined
    return boardScopeOf(scope, board.name, viewer)
  }, [board, scope, viewer])
  const resolved = useMemo(
    () =>
      board && boardScope
        ? resolveBoard(board.panels, boardScope, {
            folded: (row) => !search.panel && (folds.get(row.id) ?? row.options.collapsed ?? false),
            tab: search.tab,
          })
        : undefined,
    [board, boardScope, folds, search.tab, search.panel],
  )
  const panels = resolved?.panels
  const links = useMemo(
    () => ({ scope: boardScope ?? new Map(), from: range.from, to: range.to }),
    [boardScope, range.from, range.to],
  )
  const filters = filtersOf(variables)
  const draft = useDraft(board)
  const draftPanels = useDraftPanels(draft)
  const editing = search.edit ? draft : undefined
  const drafted = useMemo(
    () => (boardScope ? draftPanels?.map((panel) => fillPanel(panel, boardScope)) : undefined),
    [draftPanels, boardScope],
  )
  const displayed = editing
    ? drafted
    : search.panel
      ? panels?.filter((panel) => panel.id === search.panel)
      : panels
  const [inspected, setInspected] = useState<string>()
  const shown = displayed?.find((panel) => panel.id === inspected)
  const { visible, observe } = useVisiblePanels()
  const boardData = useLongBoardData(displayed, visible, range, zone, refresh, filters)
  // The ranges before each zoom: a double click goes back one step.
  const zoomedFrom = useRef<Pick<BoardSearch, 'from' | 'to'>[]>([])

  if (error && !board) {
    return (
      <Page title="Dashboard">
        <Card>
          <Failure message={messageOf(error)} onRetry={() => void refetch()} />
          {search.kiosk && (
            <p className="pb-4 text-center">
              <Link to="/" className="text-accent underline">
                Go to dashboards
              </Link>
            </p>
          )}
        </Card>
      </Page>
    )
  }
  const failed = variables.filter(({ failure }) => failure !== undefined)
  const change = (some: Partial<BoardSearch>) => onSearch({ ...search, ...some })
  const setRange = (next: TimeRange) => {
    zoomedFrom.current = []
    change(next)
  }
  const zoom = (start: number, end: number) => {
    zoomedFrom.current.push({ from: search.from, to: search.to })
    change({ from: String(start), to: String(end) })
  }
  const zoomBack = () => change(zoomedFrom.current.pop() ?? { from: undefined, to: undefined })
  const refreshNow = boardData.refetch

  const showDraft = (panel: Panel, menu: ReactNode) =>
    panel.type === 'row' ? (
      <RowHead
        row={panel}
        folded={panel.options.collapsed ?? false}
        count={undefined}
        actions={menu}
      />
    ) : (
      <ErrorBoundary key={panel.id} onRetry={refreshNow} shown={panel}>
        <PanelView
          panel={panel}
          filling
          actions={menu}
          data={boardData.dataOf(panel.id)}
          failure={boardData.failureOf(panel.id)}
          onRetry={refreshNow}
          onZoom={zoom}
          onReset={zoomBack}
        />
      </ErrorBoundary>
    )
  const inner = !board ? (
    <Loading />
  ) : editing ? (
    <ZoneContext value={zone}>
      <Suspense fallback={<Skeleton className="h-96" />}>
        <EditBar board={board} editing={editing} onDone={() => change({ edit: undefined })} />
        <EditGrid board={board} editing={editing} render={showDraft} />
      </Suspense>
    </ZoneContext>
  ) : board.panels.length === 0 ? (
    <Card>
      <Empty title="This dashboard has no panels yet">
        {board.canEdit && (
          <Link
            to="/dashboards/$id/panels/$panel/edit"
            params={{ id, panel: 'new' }}
            search={search}
            className="my-3 inline-flex h-9 items-center rounded-md bg-accent px-3 text-sm font-medium text-accent-text hover:opacity-90"
          >
            Add panel
          </Link>
        )}
        <AddData />
      </Empty>
    </Card>
  ) : (
    <ZoneContext value={zone}>
      {draft && <UnsavedBar editing={draft} />}
      {resolved && resolved.tabs.length > 0 && !search.panel && (
        <TabBar tabs={resolved.tabs} open={search.tab} onOpen={(tab) => change({ tab })} />
      )}
      {panels ? (
        <BoardPanels
          panels={panels}
          rowHead={(row) => (
            <RowHead
              key={row.id}
              row={row}
              folded={folded(row)}
              count={resolved?.counts.get(row.id)}
              onFold={() => setFolds((before) => new Map(before).set(row.id, !folded(row)))}
            />
          )}
          expanded={search.panel}
          dataOf={boardData.dataOf}
          failureOf={boardData.failureOf}
          onRetry={refreshNow}
          onZoom={zoom}
          onReset={zoomBack}
          onExpand={(panel) => change({ panel })}
          menu={(panel) => {
            const original = board.panels.find(({ id }) => id === originalId(panel.id))
            return (
              original &&
              !search.kiosk && (
                <PanelMenu board={board} panel={original} title={panel.title}>
                  <ViewerMenuItems
                    panel={panel}
                    search={search}
                    range={range}
                    onExpand={(panel) => change({ panel })}
                    onInspect={() => setInspected(panel.id)}
                  />
                  <AlertOnPanel panel={panel} />
                </PanelMenu>
              )
            )
          }}
        />
      ) : failed.length > 0 ? (
        <Card>
          <Failure
            message={failed
              .map(
                ({ variable, failure }) =>
                  `The values of ${variable.label || variable.name} can't be listed: ${failure}`,
              )
              .join(' ')}
            onRetry={retryVariables}
          />
        </Card>
      ) : (
        <Loading />
      )}
      {shown && (
        <ErrorBoundary shown={shown}>
          <Suspense>
            <InspectPanel
              panel={shown}
              data={boardData.dataOf(shown.id)}
              range={range}
              filters={filters}
              onClose={() => setInspected(undefined)}
            />
          </Suspense>
        </ErrorBoundary>
      )}
    </ZoneContext>
  )
  const every = refreshEvery(range, refresh)
  const content = (
    <LinkContextProvider value={links}>
      <RefreshContext value={every}>
        <ObservePanelContext value={observe}>{inner}</ObservePanelContext>
      </RefreshContext>
    </LinkContextProvider>
  )
  if (search.kiosk && board) {
    return (
      <Kiosk
        title={board.name}
        range={describeRange(range, zone)}
        onLeave={() => change({ kiosk: undefined })}
      >
        {content}
      </Kiosk>
    )
  }
  return (
    <Page
      title={board?.name ?? 'Dashboard'}
      mark={board && <FavouriteButton id={board.id} name={board.name} />}
      actions={
        <div className="flex min-w-0 flex-wrap items-center gap-2">
          <BoardToolbar
            range={range}
            zone={zone}
            refresh={refresh}
            defaultRefresh={defaultRefresh}
            onRefresh={refreshNow}
            onChange={change}
            onRange={setRange}
          />
          {board && !editing && (
            <BoardMenu
              board={board}
              editing={draft}
              onEdit={() => change({ edit: '1', panel: undefined })}
            />
          )}
        </div>
      }
    >
      <VariableBar
        variables={variables}
        onChoose={(name, values) => change({ [variableKey(name)]: values })}
      />
      {content}
    </Page>
  )
}

type TabBarProps = { tabs: Tab[]; open: string | undefined; onOpen: (id: string) => void }

function TabBar({ tabs, open, onOpen }: TabBarProps) {
  const shown = tabs.find(({ id }) => id === open) ?? tabs[0]
  return (
    <nav aria-label="Tabs" className="mb-3 flex gap-1 overflow-x-auto border-b border-line">
      {tabs.map(({ id, title }) => (
        <button
          key={id}
          type="button"
          aria-current={id === shown?.id ? 'page' : undefined}
          className="-mb-px shrink-0 border-b-2 border-transparent px-3 py-2 text-sm font-medium text-muted hover:text-text aria-[current]:border-accent aria-[current]:text-text"
          onClick={() => onOpen(id)}
        >
          {title}
        </button>
      ))}
    </nav>
  )
}

function Loading() {
  return (
    <div className="grid gap-3 md:grid-cols-2">
      {[1, 2, 3, 4].map((index) => (
        <Skeleton key={index} className="h-60" />
      ))}
    </div>
  )
}
