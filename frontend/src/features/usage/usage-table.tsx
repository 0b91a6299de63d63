import clsx from 'clsx'
import { ChevronLeft, ChevronRight } from 'lucide-react'
import type { ReactNode } from 'react'
import { Button } from '@/components/ui/controls'

export type Column<Row> = {
  title: string
  /** Numbers are aligned right. */
  number?: boolean
  cell: (row: Row) => ReactNode
}

/** A table that scrolls horizontally when there is no room; on a phone its rows are lines. */
export function UsageTable<Row>({
  label,
  columns,
  rows,
  id,
}: {
  label: string
  columns: Column<Row>[]
  rows: Row[]
  id: (row: Row) => string
}) {
  return (
    <section
      className="overflow-x-auto"
      aria-label={label}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard
      tabIndex={0}
    >
      <table className="stacked w-full min-w-[44rem] text-left">
        <thead className="text-xs text-muted">
          <tr>
            {columns.map(({ title, number }) => (
              <th key={title} className={clsx('px-4 py-2.5 font-medium', number && 'text-right')}>
                {title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={id(row)} className="border-t border-line hover:bg-raised/50">
              {columns.map(({ title, number, cell }, index) => (
                <td
                  key={title}
                  data-label={index ? title : undefined}
                  className={clsx(
                    'px-4 py-2.5',
                    number && 'text-right tabular-nums',
                    !index && 'line',
                  )}
                >
                  {cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  )
}

/** The position of a page in its list, with buttons to the previous and next page. */
export function Pager({
  page,
  pageSize,
  total,
  onPage,
}: {
  page: number
  pageSize: number
  total: number
  onPage: (page: number) => void
}) {
  if (total <= pageSize) return null
  const last = Math.ceil(total / pageSize)
  return (
    <nav
      aria-label="Pages"
      className="flex items-center justify-end gap-2 border-t border-line px-4 py-2 text-sm text-muted"
    >
      {((page - 1) * pageSize + 1).toLocaleString('en-US')}–
      {Math.min(page * pageSize, total).toLocaleString('en-US')} of {total.toLocaleString('en-US')}
      <Button aria-label="Previous page" disabled={page <= 1} onClick={() => onPage(page - 1)}>
        <ChevronLeft size={16} aria-hidden="true" />
      </Button>
      <Button aria-label="Next page" disabled={page >= last} onClick={() => onPage(page + 1)}>
        <ChevronRight size={16} aria-hidden="true" />
      </Button>
    </nav>
  )
}
