import { Pause, Play, RefreshCw } from 'lucide-react'
import { Button, Select } from '@/components/ui/controls'

const REFRESHES = ['5s', '10s', '30s', '1m', '5m', '15m', 'off']

type Props = {
  /** An interval, or `off`. */
  refresh: string
  /** The interval that ends a pause. */
  defaultRefresh: string
  /** Whether the range ends now; other ranges do not change. */
  live: boolean
  fetching: boolean
  onRefresh: () => void
  onChange: (refresh: string) => void
}

export function RefreshControl({
  refresh,
  defaultRefresh,
  live,
  fetching,
  onRefresh,
  onChange,
}: Props) {
  const paused = refresh === 'off'
  const toggle = paused ? 'Resume refresh' : 'Pause refresh'
  return (
    <div className="flex">
      <Button
        className="w-9 rounded-r-none !px-0"
        aria-label="Refresh now"
        title="Refresh now"
        onClick={onRefresh}
      >
        <RefreshCw size={15} aria-hidden="true" className={fetching ? 'text-accent' : ''} />
      </Button>
      <Select
        label="Refresh every"
        className="rounded-none border-x-0"
        value={refresh}
        disabled={!live}
        onChange={(event) => onChange(event.target.value)}
      >
        {[...new Set([...REFRESHES, refresh])].map((every) => (
          <option key={every}>{every}</option>
        ))}
      </Select>
      <Button
        className="w-9 rounded-l-none !px-0"
        aria-label={toggle}
        title={toggle}
        disabled={!live}
        onClick={() =>
          onChange(paused ? (defaultRefresh === 'off' ? '10s' : defaultRefresh) : 'off')
        }
      >
        {paused ? <Play size={15} aria-hidden="true" /> : <Pause size={15} aria-hidden="true" />}
      </Button>
    </div>
  )
}
