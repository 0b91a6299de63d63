import clsx from 'clsx'
import { ArrowDown, ArrowUp } from 'lucide-react'
import { useMemo, useState } from 'react'
import type { SeriesOverride } from '@/api/generated/types.gen'
import { calculate } from '@/charts/chart-data'
import type { Field, Frame, Value } from '@/charts/frames'
import { rowsOf } from '@/charts/frames'
import { overrideOf, showText, showValue, textColor } from '@/charts/series-style'
import { sortedRows } from '@/charts/transformations'
import { Select } from '@/components/ui/controls'
import { timeZoneOf, useZone } from '@/lib/zone'
import { cellLink, type LinkContext } from '../field-links'
import type { KindProps } from './kinds/kind-props'

const ROW = 30
/** Rows drawn above and below the visible ones. */
const SPARE = 12

type Column = { field: Field; title: string; style: Partial<SeriesOverride>; numbers: number[] }

/** The columns of a frame as the panel's overrides show them. */
export function columnsOf(frame: Frame, overrides: SeriesOverride[]): Column[] {
  return frame.fields.flatMap((field) => {
    const style = overrideOf(overrides, { name: field.name, query: field.ref, type: field.type })
    if (style.hidden) return []
    const numbers = field.type === 'number' ? field.values.filter((v) => typeof v === 'number') : []
    return [{ field, title: style.label ?? field.name, style, numbers }]
  })
}

/** A table with a column for each field: sorted by its heads, only the visible rows are drawn. */
export function TablePanel({ panel, frames, link }: KindProps & { link: LinkContext }) {
  const { options } = panel
  const zone = useZone()
  const [shown, setShown] = useState(0)
  const [order, setOrder] = useState<{ name: string; falling: boolean }>()
  const [top, setTop] = useState(0)
  const [height, setHeight] = useState(600)
  const frame = frames[shown] ?? frames[0]
  const columns = useMemo(
    () => (frame ? columnsOf(frame, options.overrides) : []),
    [frame, options.overrides],
  )
  const rows = useMemo(() => {
    const all = Array.from({ length: frame ? rowsOf(frame) : 0 }, (_, row) => row)
    const by = columns.find(({ field }) => field.name === order?.name)
    return by && order ? sortedRows(by.field, order.falling, all) : all
  }, [frame, columns, order])
  const clock = useMemo(
    () =>
      new Intl.DateTimeFormat(undefined, {
        dateStyle: 'short',
        timeStyle: 'medium',
        timeZone: timeZoneOf(zone),
      }),
    [zone],
  )
  if (!frame) return null
  const first = Math.max(0, Math.floor(top / ROW) - SPARE)
  const last = Math.min(rows.length, Math.ceil((top + height) / ROW) + SPARE)
  const press = (name: string) =>
    setOrder((before) =>
      before?.name !== name
        ? { name, falling: true }
        : before.falling
          ? { name, falling: false }
          : undefined,
    )
  const write = (column: Column, value: Value) => {
    const { field, style } = column
    if (field.type === 'time') {
      return { text: value === null ? '' : clock.format(Number(value)), color: undefined }
    }
    const mappings = style.mappings ?? options.mappings
    if (field.type === 'text') return showText(String(value ?? ''), mappings)
    const number = value === null ? undefined : Number(value)
    return showValue(number, style.unit ?? options.unit, options, style)
  }
  const alignOf = ({ field, style }: Column) =>
    style.align ?? (field.type === 'number' ? 'right' : 'left')
  return (
    <div className="flex h-full flex-col">
      {frames.length > 1 && (
        <Select
          label="Table"
          className="mb-1 max-w-56"
          value={String(shown)}
          onChange={(event) => setShown(Number(event.target.value))}
        >
          {frames.map((each, index) => (
            <option key={`${index}-${each.name}`} value={index}>
              {each.name || `Table ${index + 1}`}
            </option>
          ))}
        </Select>
      )}
      <section
        className="min-h-0 flex-1 overflow-auto"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard
        tabIndex={0}
        aria-label={`${panel.title}: table`}
        onScroll={(event) => {
          setTop(event.currentTarget.scrollTop)
          setHeight(event.currentTarget.clientHeight)
        }}
      >
        <table className="w-full text-[13px]" aria-rowcount={rows.length}>
          {options.columnHeader && (
            <thead className="sticky top-0 z-10 bg-surface text-xs text-muted">
              <tr>
                {columns.map((column, index) => {
                  const { name } = column.field
                  const sorted = order?.name === name
                  const Arrow = order?.falling ? ArrowDown : ArrowUp
                  return (
                    <th
                      key={`${index}-${name}`}
                      scope="col"
                      aria-sort={sorted ? (order?.falling ? 'descending' : 'ascending') : undefined}
                      className="border-b border-line py-1 font-medium whitespace-nowrap"
                      style={{
                        textAlign: alignOf(column),
                        ...(column.style.width
                          ? { width: column.style.width, maxWidth: column.style.width }
                          : {}),
                      }}
                    >
                      <button
                        type="button"
                        className={clsx(
                          'inline-flex items-center gap-0.5 rounded px-2 hover:bg-raised hover:text-text',
                          sorted && 'text-text',
                        )}
                        onClick={() => press(name)}
                      >
                        {column.title}
                        {sorted && <Arrow size={12} aria-hidden="true" />}
                      </button>
                    </th>
                  )
                })}
              </tr>
            </thead>
          )}
          <tbody>
            {first > 0 && <tr style={{ height: first * ROW }} />}
            {rows.slice(first, last).map((row) => (
              <tr
                key={row}
                className="border-b border-line hover:bg-raised"
                style={{ height: ROW }}
              >
                {columns.map((column, index) => {
                  const value = column.field.values[row] ?? null
                  const { text, color } = write(column, value)
                  const kind = column.style.cell ?? options.cell ?? 'color'
                  const number = typeof value === 'number' && column.field.type === 'number'
                  const href = cellLink(
                    column.style.links ?? options.fieldLinks,
                    link,
                    frame,
                    column.field,
                    row,
                  )
                  const gauge = kind === 'gauge' && number
                  return (
                    <td
                      key={`${index}-${column.field.name}`}
                      className="max-w-80 truncate px-2 tabular-nums"
                      title={text}
                      style={{
                        textAlign: alignOf(column),
                        ...(column.style.width
                          ? { width: column.style.width, maxWidth: column.style.width }
                          : {}),
                        ...(kind === 'color' && color ? { color: textColor(color) } : {}),
                        ...(kind === 'background' && color
                          ? { background: `color-mix(in oklab, ${color} 30%, var(--surface))` }
                          : {}),
                      }}
                    >
                      {gauge && (
                        <Meter value={value} column={column} color={color} options={options} />
                      )}
                      {href ? (
                        <a
                          href={href.url}
                          className="text-accent hover:underline"
                          title={href.title || undefined}
                        >
                          {text}
                        </a>
                      ) : (
                        text
                      )}
                    </td>
                  )
                })}
              </tr>
            ))}
            {last < rows.length && <tr style={{ height: (rows.length - last) * ROW }} />}
          </tbody>
          {options.footer.length > 0 && (
            <tfoot className="sticky bottom-0 bg-surface font-medium">
              {options.footer.map((how) => (
                <tr key={how} className="border-t border-line">
                  {columns.map((column, index) => (
                    <td
                      key={`${index}-${column.field.name}`}
                      className="px-2 py-1 tabular-nums"
                      style={{ textAlign: alignOf(column) }}
                    >
                      {column.numbers.length
                        ? write(column, calculate(column.numbers, how) ?? null).text
                        : index === 0
                          ? how
                          : ''}
                    </td>
                  ))}
                </tr>
              ))}
            </tfoot>
          )}
        </table>
        {rows.length === 0 && <p className="p-6 text-center text-muted">No data in this range</p>}
      </section>
    </div>
  )
}

type MeterProps = {
  value: number
  column: Column
  color: string | undefined
  options: KindProps['panel']['options']
}

/** A bar behind a number, between the least and the most of its column. */
function Meter({ value, column, color, options }: MeterProps) {
  const low = column.style.min ?? options.min ?? Math.min(0, ...column.numbers)
  const high = column.style.max ?? options.max ?? Math.max(0, ...column.numbers)
  const share = Math.min(1, Math.max(0, (value - low) / (high - low || 1)))
  return (
    <span
      className="mr-2 inline-block h-2.5 w-20 overflow-hidden rounded bg-raised align-middle"
      aria-hidden="true"
    >
      <span
        className="block h-full rounded"
        style={{ width: `${share * 100}%`, background: color ?? 'var(--series-1)' }}
      />
    </span>
  )
}
