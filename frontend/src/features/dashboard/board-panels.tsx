import { Maximize2, Minimize2 } from 'lucide-react'
import type { ReactNode } from 'react'
import type { Panel } from '@/api/generated/types.gen'
import { ErrorBoundary } from '@/components/error-boundary'
import { Card, Empty } from '@/components/ui/controls'
import { useShortcuts } from '@/lib/shortcuts'
import { PanelView } from './panel/panel-view'
import type { BoardData } from './use-board-data'

type Props = {
  panels: Panel[]
  /** The panel that fills the page. */
  expanded: string | undefined
  dataOf: (panelId: string) => BoardData | undefined
  failureOf: (panelId: string) => string | undefined
  onRetry: () => void
  onZoom: (start: number, end: number) => void
  onReset: () => void
  onExpand: (panelId: string | undefined) => void
  /** The head of a row. */
  rowHead?: (row: Panel) => ReactNode
  /** Further actions on a panel. */
  menu?: (panel: Panel) => ReactNode
}

/** The id of the hovered or focused panel. */
function pointedPanel(): string | undefined {
  const found =
    document.activeElement?.closest('[data-panel]') ?? document.querySelector('[data-panel]:hover')
  return found?.getAttribute('data-panel') ?? undefined
}

/** A board's panels in view mode, or one of them expanded. */
export function BoardPanels({
  panels,
  expanded,
  onExpand,
  menu,
  rowHead,
  dataOf,
  failureOf,
  ...rest
}: Props) {
  const chosen = panels.find(({ id }) => id === expanded)
  const back = () => onExpand(undefined)
  useShortcuts(
    expanded
      ? [
          { group: 'Panel', keys: 'Escape', label: 'Back to the dashboard', run: back },
          { group: 'Panel', keys: 'v', label: 'Back to the dashboard', run: back },
        ]
      : [
          {
            group: 'Panel',
            keys: 'v',
            label: 'View the focused or hovered panel full screen',
            run: () => {
              const id = pointedPanel()
              if (id) onExpand(id)
            },
          },
        ],
  )
  const button = (panel: Panel) => {
    const label = chosen ? 'Back to the dashboard' : `View ${panel.title} full screen`
    const Icon = chosen ? Minimize2 : Maximize2
    return (
      <button
        type="button"
        className={chosen ? 'panel-action always' : 'panel-action'}
        aria-label={label}
        title={label}
        onClick={() => onExpand(chosen ? undefined : panel.id)}
      >
        <Icon size={14} aria-hidden="true" />
      </button>
    )
  }
  if (expanded && !chosen) {
    return (
      <Card>
        <Empty title="This panel is not on the dashboard">
          <button type="button" className="text-accent underline" onClick={back}>
            Back to the dashboard
          </button>
        </Empty>
      </Card>
    )
  }
  return (
    <div className={chosen ? 'board-expanded' : 'board'}>
      {(chosen ? [chosen] : panels).map((panel) =>
        panel.type === 'row' ? (
          rowHead?.(panel)
        ) : (
          <ErrorBoundary key={panel.id} onRetry={rest.onRetry}>
            <PanelView
              panel={panel}
              filling={chosen !== undefined}
              data={dataOf(panel.id)}
              failure={failureOf(panel.id)}
              actions={
                <>
                  {button(panel)}
                  {menu?.(panel)}
                </>
              }
              {...rest}
            />
          </ErrorBoundary>
        ),
      )}
    </div>
  )
}
