import { useIsFetching } from '@tanstack/react-query'
import { Tv } from 'lucide-react'
import { Button } from '@/components/ui/controls'
import { useShortcuts } from '@/lib/shortcuts'
import { isLive, shiftRange, type TimeRange, widenRange } from '@/lib/time-range'
import type { Zone } from '@/lib/zone'
import type { BoardSearch } from './board-search'
import { RangePicker } from './range-picker'
import { RefreshControl } from './refresh-control'
import { BOARD } from './use-board-data'

type Props = {
  range: TimeRange
  zone: Zone
  refresh: string
  /** The interval set in the dashboard. */
  defaultRefresh: string
  onRefresh: () => void
  onChange: (change: Partial<BoardSearch>) => void
  onRange: (range: TimeRange) => void
}

/** Time, refresh and kiosk, with their shortcuts. */
export function BoardToolbar(props: Props) {
  const { range, zone, refresh, defaultRefresh, onRefresh, onChange, onRange } = props
  // Looked up here, so that the start of a request renders this bar and not the panels.
  const fetching = useIsFetching({ queryKey: BOARD }) > 0
  const group = 'Dashboard'
  const now = () => Date.now()
  useShortcuts([
    { group, keys: 'd r', label: 'Refresh now', run: onRefresh },
    {
      group,
      keys: 't ArrowLeft',
      label: 'Shift range back',
      run: () => onRange(shiftRange(range, -1, now(), zone)),
    },
    {
      group,
      keys: 't ArrowRight',
      label: 'Shift range forward',
      run: () => onRange(shiftRange(range, 1, now(), zone)),
    },
    {
      group,
      keys: 't z',
      label: 'Widen range',
      run: () => onRange(widenRange(range, now(), zone)),
    },
    { group, keys: 'd k', label: 'Kiosk view', run: () => onChange({ kiosk: '1' }) },
  ])
  return (
    // Its parts wrap beside those of the page, not as one block.
    <div className="contents">
      <RangePicker range={range} zone={zone} onChange={onRange} onZone={(tz) => onChange({ tz })} />
      <RefreshControl
        refresh={refresh}
        defaultRefresh={defaultRefresh}
        live={isLive(range)}
        fetching={fetching}
        onRefresh={onRefresh}
        onChange={(every) => onChange({ refresh: every })}
      />
      <Button
        className="w-9 !px-0 max-sm:hidden"
        aria-label="Kiosk view"
        title="Kiosk view for wall displays"
        onClick={() => onChange({ kiosk: '1' })}
      >
        <Tv size={16} aria-hidden="true" />
      </Button>
    </div>
  )
}
