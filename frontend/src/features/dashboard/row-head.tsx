import { ChevronDown, ChevronRight } from 'lucide-react'
import type { ReactNode } from 'react'
import type { Panel } from '@/api/generated/types.gen'

type Props = {
  row: Panel
  folded: boolean
  /** How many panels are below it. */
  count: number | undefined
  /** Left out while the board is edited. */
  onFold?: () => void
  actions?: ReactNode
}

/** The head of a row, which folds and unfolds the panels below it. */
export function RowHead({ row, folded, count, onFold, actions }: Props) {
  const { y } = row.position
  const Icon = folded ? ChevronRight : ChevronDown
  return (
    <div
      className="panel-header group flex h-full min-w-0 items-center gap-1 border-b border-line"
      style={{ gridColumn: '1 / -1', gridRow: `${y + 1} / span 1` }}
      data-row={row.id}
    >
      <h2 className="flex min-w-0">
        <button
          type="button"
          aria-expanded={!folded}
          className="flex min-w-0 items-center gap-1.5 rounded-md py-1 pr-2 text-[15px] font-semibold hover:bg-raised"
          onClick={onFold}
          disabled={!onFold}
        >
          <Icon size={17} className="shrink-0 text-muted" aria-hidden="true" />
          <span className="truncate">{row.title || 'Row'}</span>
        </button>
      </h2>
      {folded && count !== undefined && (
        <span className="shrink-0 text-xs text-muted">
          {count} {count === 1 ? 'panel' : 'panels'}
        </span>
      )}
      <span className="ml-auto">{actions}</span>
    </div>
  )
}
