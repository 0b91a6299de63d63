import { TriangleAlert } from 'lucide-react'
import { useMemo, useState } from 'react'
import type { Panel } from '@/api/generated/types.gen'
import { calculate, joinAnswers, stack, type Table } from '@/charts/data'
import { colorOf, resolveColor } from '@/charts/palette'
import { TimeChart } from '@/charts/time-chart'
import { Empty, Failure, Skeleton } from '@/components/ui/controls'
import { useTheme } from '@/lib/theme'
import { formatValue } from '@/lib/units'
import { Gauge, Stat, ValueTable } from './panel-values'
import { answerId, type BoardData } from './use-board-data'

type Props = {
  panel: Panel
  data: BoardData | undefined
  failure: string | undefined
  onRetry: () => void
  onZoom: (start: number, end: number) => void
  onReset: () => void
}

export function PanelView({ panel, data, failure, onRetry, onZoom, onReset }: Props) {
  const answers = useMemo(
    () =>
      panel.queries.map((query, index) => ({
        query,
        answer: data?.answers.get(answerId(panel.id, index)),
      })),
    [panel, data],
  )
  const table = useMemo(
    () =>
      joinAnswers(
        answers.flatMap(({ query, answer }) =>
          answer?.result
            ? [{ data: answer.result.data, alias: query.alias, prefix: query.query }]
            : [],
        ),
      ),
    [answers],
  )
  const ownError = answers.find(({ answer }) => answer?.error)?.answer?.error?.error
  const meta = answers.find(({ answer }) => answer?.result)?.answer?.result?.meta
  const cost =
    meta &&
    `${meta.table}, ${meta.resolution} steps, ${meta.cached ? 'from cache' : `${meta.durationMs} ms`}`
  const { x, y, w, h } = panel.position
  return (
    <section
      aria-label={panel.title}
      className="flex min-w-0 flex-col rounded-lg border border-line bg-surface shadow-(--shadow) max-[760px]:h-64"
      style={{ gridColumn: `${x + 1} / span ${w}`, gridRow: `${y + 1} / span ${h}` }}
    >
      <header className="flex h-9 shrink-0 items-center gap-2 px-3" title={cost}>
        <h2 className="truncate text-[13px] font-medium">{panel.title}</h2>
        {(failure ?? ownError) && table.lines.length > 0 && (
          <span
            className="ml-auto text-danger"
            title={failure ?? ownError}
            role="img"
            aria-label={`Refresh failed: ${failure ?? ownError}`}
          >
            <TriangleAlert size={15} aria-hidden="true" />
          </span>
        )}
      </header>
      <div className="min-h-0 flex-1 px-3 pb-2">
        {table.lines.length > 0 && data ? (
          <Body panel={panel} table={table} data={data} onZoom={onZoom} onReset={onReset} />
        ) : (failure ?? ownError) ? (
          <Failure message={failure ?? ownError ?? ''} onRetry={onRetry} />
        ) : data ? (
          <div className="flex h-full items-center justify-center">
            <Empty title="No data in this range" />
          </div>
        ) : (
          <Skeleton className="h-full" />
        )}
      </div>
    </section>
  )
}

type BodyProps = Pick<Props, 'panel' | 'onZoom' | 'onReset'> & { table: Table; data: BoardData }

function Body({ panel, table, data, onZoom, onReset }: BodyProps) {
  switch (panel.type) {
    case 'stat':
      return <Stat panel={panel} table={table} />
    case 'gauge':
      return <Gauge panel={panel} table={table} />
    case 'table':
      return <ValueTable panel={panel} table={table} />
    default:
      return (
        <Lines
          panel={panel}
          kind={panel.type}
          table={table}
          data={data}
          onZoom={onZoom}
          onReset={onReset}
        />
      )
  }
}

function Lines({
  panel,
  kind,
  table,
  data,
  onZoom,
  onReset,
}: BodyProps & { kind: 'line' | 'area' | 'bar' }) {
  const theme = useTheme((state) => state.shown)
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set())
  const { options } = panel
  const colored = table.lines.map((line, index) => ({
    ...line,
    color: colorOf(index, index === 0 ? options.color : null),
  }))
  const lines = colored.filter((line) => !hidden.has(line.key))
  const measured = lines.map((line) => line.values)
  const drawn = options.stacked ? stack(measured) : measured
  const format = (value: number) => formatValue(value, options.unit, options.decimals)
  // Later series are painted over earlier ones: the highest of a stack comes first.
  const order = options.stacked ? [...lines.keys()].reverse() : [...lines.keys()]
  const pick = <T,>(list: T[]) => order.map((index) => list[index] as T)

  const click = (key: string, add: boolean) => {
    setHidden((before) => {
      if (add) {
        const next = new Set(before)
        if (!next.delete(key)) next.add(key)
        return next
      }
      const alone = !before.has(key) && before.size === table.lines.length - 1
      return alone
        ? new Set()
        : new Set(table.lines.map((line) => line.key).filter((other) => other !== key))
    })
  }
  return (
    <div className="flex h-full flex-col">
      <div className="min-h-0 flex-1">
        <TimeChart
          title={panel.title}
          times={table.times}
          drawn={pick(drawn)}
          measured={pick(measured)}
          identity={JSON.stringify([theme, kind, options, lines.map((line) => line.key)])}
          start={data.start}
          end={data.end}
          onZoom={onZoom}
          onReset={onReset}
          style={{
            kind,
            stacked: options.stacked,
            log: options.scale === 'log',
            connect: options.nulls === 'connect',
            binary: /^(bytes|Bps)/.test(options.unit ?? ''),
            min: options.min,
            max: options.max,
            series: pick(lines).map((line) => ({
              label: line.label,
              color: resolveColor(line.color),
            })),
            thresholds: options.thresholds.map((threshold, index) => ({
              value: threshold.value,
              color: resolveColor(colorOf(index + 1, threshold.color)),
            })),
            axisColor: resolveColor('var(--muted)'),
            gridColor: resolveColor('var(--grid)'),
            format,
          }}
        />
      </div>
      {options.showLegend && (
        <ul aria-label="Legend" className="mt-1 flex max-h-14 flex-wrap gap-x-1 overflow-y-auto">
          {colored.map((line) => (
            <li key={line.key}>
              <button
                type="button"
                aria-pressed={!hidden.has(line.key)}
                title="Click: only this. With Ctrl: hide or show."
                onClick={(event) => click(line.key, event.ctrlKey || event.metaKey)}
                className={`flex items-center gap-1.5 rounded px-1.5 py-0.5 text-xs hover:bg-raised ${hidden.has(line.key) ? 'text-muted line-through' : ''}`}
              >
                <span className="h-0.5 w-3 rounded-full" style={{ background: line.color }} />
                <span className="max-w-40 truncate">{line.label}</span>
                <span className="text-muted tabular-nums">
                  {formatValue(
                    calculate(line.values, options.calculation),
                    options.unit,
                    options.decimals,
                  )}
                </span>
              </button>
            </li>
          ))}
        </ul>
      )}
    </div>
  )
}
