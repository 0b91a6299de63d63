import clsx from 'clsx'
import { ArrowDown, ArrowUp } from 'lucide-react'
import { type ReactNode, useState } from 'react'
import type { PanelOptions } from '@/api/generated/types.gen'
import { type Calculation, calculate } from '@/charts/chart-data'
import { type StyledLine, showValue, textColor } from '@/charts/series-style'

const COLUMNS: readonly Calculation[] = ['last', 'min', 'max', 'avg']

type Column = Calculation | 'Series'
type Order = { by: Column; falling: boolean }

const names = new Intl.Collator(undefined, { numeric: true })

/** Lines sorted by a column. Lines without a value come last in both directions. */
export function ordered(lines: StyledLine[], { by, falling }: Order): StyledLine[] {
  const sign = falling ? -1 : 1
  if (by === 'Series') {
    return [...lines].sort((a, b) => sign * names.compare(a.label, b.label))
  }
  const values = new Map(lines.map((line) => [line, calculate(line.values, by)]))
  return [...lines].sort((a, b) => {
    const [left, right] = [values.get(a), values.get(b)]
    if (left === undefined || right === undefined) {
      return Number(left === undefined) - Number(right === undefined)
    }
    return sign * (left - right)
  })
}

type Props = {
  lines: StyledLine[]
  options: PanelOptions
  /** The content of a line's first cell. */
  name: (line: StyledLine) => ReactNode
  /** Whether values have the colours of thresholds and mappings. */
  colored?: boolean
  /** The calculations shown; left out or empty: last, minimum, maximum and average. */
  columns?: readonly Calculation[]
  className?: string
}

/** Series with calculated columns, sorted by the column whose header is clicked. */
export function SeriesTable({ lines, options, name, colored, columns, className }: Props) {
  const shown = columns?.length ? columns : COLUMNS
  const [order, setOrder] = useState<Order>()
  const press = (by: Column) =>
    setOrder((before) => {
      // Numbers start with the highest, names with A. The third click restores the original order.
      const first = by !== 'Series'
      if (before?.by !== by) return { by, falling: first }
      return before.falling === first ? { by, falling: !first } : undefined
    })
  const head = (column: Column, end: string) => {
    const sorted = order?.by === column
    const Arrow = order?.falling ? ArrowDown : ArrowUp
    return (
      <th
        key={column}
        scope="col"
        aria-sort={sorted ? (order.falling ? 'descending' : 'ascending') : undefined}
        className={clsx('py-0.5 font-medium', end)}
      >
        <button
          type="button"
          className={clsx(
            'inline-flex items-center gap-0.5 rounded px-1.5 hover:bg-raised hover:text-text',
            sorted && 'text-text',
          )}
          onClick={() => press(column)}
        >
          {column}
          {sorted && <Arrow size={12} aria-hidden="true" />}
        </button>
      </th>
    )
  }
  return (
    <table className={clsx('w-full text-left', className)}>
      <thead className="sticky top-0 z-10 bg-surface text-xs text-muted">
        <tr>
          {head('Series', '')}
          {shown.map((column) => head(column, 'pl-1.5 text-right'))}
        </tr>
      </thead>
      <tbody>
        {(order ? ordered(lines, order) : lines).map((line) => (
          <tr key={line.key} className="border-t border-line">
            <td className="w-full max-w-0 min-w-24">{name(line)}</td>
            {shown.map((column) => {
              const { text, color } = showValue(calculate(line.values, column), line.unit, options)
              return (
                <td
                  key={column}
                  className="px-1.5 py-0.5 text-right whitespace-nowrap tabular-nums"
                  style={colored && color ? { color: textColor(color) } : undefined}
                >
                  {text}
                </td>
              )
            })}
          </tr>
        ))}
      </tbody>
    </table>
  )
}
