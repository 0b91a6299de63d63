import { Info } from 'lucide-react'
import type { QueryMeta } from '@/api/generated/types.gen'
import { Popover } from '@/components/ui/popover'

type Props = { title: string; description?: string | null; meta: QueryMeta | undefined }

/** What a panel is about and where its numbers come from. */
export function PanelInfo({ title, description, meta }: Props) {
  if (!meta && !description) return null
  const facts = meta
    ? [
        ['Read from', meta.table],
        ['Step', meta.resolution],
        ['Duration', meta.cached ? 'from the cache' : `${Math.round(meta.durationMs ?? 0)} ms`],
        ['Rows read', (meta.rowsRead ?? 0).toLocaleString('en-US')],
      ]
    : []
  return (
    <Popover
      label={`About ${title}`}
      className="w-72"
      trigger={
        <button
          type="button"
          aria-label={`About ${title}`}
          title="About this data"
          className={description ? 'panel-action always' : 'panel-action'}
        >
          <Info size={14} aria-hidden="true" />
        </button>
      }
    >
      {description && <p className="mb-2 whitespace-pre-line">{description}</p>}
      <dl className="space-y-1 text-xs">
        {facts.map(([name, value]) => (
          <div key={name} className="flex justify-between gap-3">
            <dt className="text-muted">{name}</dt>
            <dd className="tabular-nums">{value}</dd>
          </div>
        ))}
      </dl>
      {meta?.notes?.map((note) => (
        <p key={note} className="mt-2 text-xs text-muted">
          {note}
        </p>
      ))}
    </Popover>
  )
}
