import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { lazy, type ReactNode, Suspense, useMemo, useRef, useState } from 'react'
import type { Panel, Variable } from '@/api/generated/types.gen'
import { AddData } from '@/components/add-data'
import { ErrorBoundary } from '@/components/error-boundary'
import { Card, Empty, Failure, Page, Skeleton } from '@/components/ui/controls'
import { messageOf } from '@/lib/errors'
import { describeRange, intervalMs, isLive, type TimeRange } from '@/lib/time-range'
import { type Zone, ZoneContext } from '@/lib/zone'
import { AlertOnPanel } from './alert-on-panel'
import { BoardPanels } from './board-panels'
import { type BoardSearch, variableKey } from './board-search'
import { BoardToolbar } from './board-toolbar'
import { BoardMenu } from './edit-mode/board-menu'
import { ConflictBar, EditBar } from './edit-mode/edit-bar'
import { PanelMenu } from './edit-mode/panel-menu'
import { boardOptions, POLL, useDraft, useDraftPanels } from './edit-mode/use-draft'
import { FavouriteButton } from './favourite-button'
import { Kiosk } from './kiosk'
import { RefreshContext } from './panel/data-age'
import { PanelView } from './panel/panel-view'
import { fillPanel, originalId, resolvePanels } from './resolve-panels'
import { useLongBoardData } from './use-board-data'
import { useVariables } from './use-variables'
import { VariableBar } from './variable-bar'
import { ViewerMenuItems } from './viewer-menu-items'
import { ObservePanelContext, useVisiblePanels } from './visible-panels'

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
  } = useVariables(board?.settings.variables ?? NO_VARIABLES, board?.panels ?? NO_PANELS, search)
  const panels = useMemo(
    () => (board && scope ? resolvePanels(board.panels, scope) : undefined),
    [board, scope],
  )
  const draft = useDraft(board)
  const draftPanels = useDraftPanels(draft)
  const editing = search.edit ? draft : undefined
  const drafted = useMemo(
    () => (scope ? draftPanels?.map((panel) => fillPanel(panel, scope)) : undefined),
    [draftPanels, scope],
  )
  const displayed = editing
    ? drafted
    : search.panel
      ? panels?.filter((panel) => panel.id === search.panel)
      : panels
  const [inspected, setInspected] = useState<string>()
  const shown = displayed?.find((panel) => panel.id === inspected)
  const { visible, observe } = useVisiblePanels()
  const boardData = useLongBoardData(displayed, visible, range, zone, refresh)
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

  const showDraft = (panel: Panel, menu: ReactNode) => (
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
      <EditBar board={board} editing={editing} onDone={() => change({ edit: undefined })} />
      <Suspense fallback={<Skeleton className="h-96" />}>
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
      {draft && <ConflictBar editing={draft} />}
      {panels ? (
        <BoardPanels
          panels={panels}
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
        <Suspense>
          <InspectPanel
            panel={shown}
            data={boardData.dataOf(shown.id)}
            onClose={() => setInspected(undefined)}
          />
        </Suspense>
      )}
    </ZoneContext>
  )
  const every = isLive(range) ? intervalMs(refresh) : undefined
  const content = (
    <RefreshContext value={every}>
      <ObservePanelContext value={observe}>{inner}</ObservePanelContext>
    </RefreshContext>
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
            fetching={boardData.isFetching}
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

function Loading() {
  return (
    <div className="grid gap-3 md:grid-cols-2">
      {[1, 2, 3, 4].map((index) => (
        <Skeleton key={index} className="h-60" />
      ))}
    </div>
  )
}
