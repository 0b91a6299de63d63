import type { Panel } from '@/api/generated/types.gen'
import { resolveColor } from '@/charts/palette'
import { TimeChart } from '@/charts/time-chart'
import { useTheme } from '@/lib/theme'
import { formatValue } from '@/lib/units'
import type { BoardData } from '../use-board-data'

type Props = {
  panel: Panel
  data: BoardData
  onZoom: (start: number, end: number) => void
  onReset: () => void
}

/** A message instead of data. Charts keep their axes and zoom, so that one can zoom out again. */
export function NoData({ panel, data, onZoom, onReset }: Props) {
  const theme = useTheme((state) => state.shown)
  const { unit, decimals, min, max } = panel.options
  return (
    <div className="relative h-full">
      {['line', 'area', 'bar'].includes(panel.type) && (
        <TimeChart
          title={panel.title}
          times={[]}
          drawn={[]}
          measured={[]}
          identity={`${theme} empty`}
          start={data.start}
          end={data.end}
          onZoom={onZoom}
          onReset={onReset}
          style={{
            kind: 'line',
            log: false,
            connect: false,
            binary: false,
            min,
            max,
            series: [],
            thresholds: [],
            thresholdStyle: 'line',
            axisColor: resolveColor('var(--muted)'),
            gridColor: resolveColor('var(--grid)'),
            format: (value) => formatValue(value, unit, decimals),
          }}
        />
      )}
      <p className="pointer-events-none absolute inset-0 flex items-center justify-center text-center font-medium text-muted">
        No data in this range
      </p>
    </div>
  )
}
