import { Link } from '@tanstack/react-router'
import { Compass, Maximize2, Minimize2, Table2 } from 'lucide-react'
import type { Panel } from '@/api/generated/types.gen'
import { MenuItem } from '@/components/ui/menu'
import type { BoardSearch } from './board-search'
import { CHART_TYPES, writeQueries } from './explore/explore-search'

type Props = {
  /** With its variables filled in. */
  panel: Panel
  search: BoardSearch
  range: { from: string; to: string }
  onExpand: (panelId: string | undefined) => void
  onInspect: () => void
}

/** The menu items of a panel for viewers. */
export function ViewerMenuItems({ panel, search, range, onExpand, onInspect }: Props) {
  const expanded = search.panel === panel.id
  const Icon = expanded ? Minimize2 : Maximize2
  return (
    <>
      <MenuItem onSelect={() => onExpand(expanded ? undefined : panel.id)}>
        <Icon size={15} aria-hidden="true" /> {expanded ? 'Back to the dashboard' : 'View'}
      </MenuItem>
      <MenuItem asChild>
        <Link
          to="/explore"
          search={{
            q: writeQueries(panel.queries),
            type: CHART_TYPES.find((known) => known === panel.type),
            from: range.from,
            to: range.to,
            tz: search.tz,
          }}
        >
          <Compass size={15} aria-hidden="true" /> Explore
        </Link>
      </MenuItem>
      <MenuItem onSelect={onInspect}>
        <Table2 size={15} aria-hidden="true" /> Inspect data
      </MenuItem>
    </>
  )
}
