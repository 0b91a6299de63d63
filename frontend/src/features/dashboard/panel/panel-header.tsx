import { ExternalLink, TriangleAlert } from 'lucide-react'
import type { ReactNode } from 'react'
import type { Panel, QueryMeta } from '@/api/generated/types.gen'
import { DataAge } from './data-age'
import { PanelInfo } from './panel-info'

type Props = {
  panel: Panel
  meta: QueryMeta | undefined
  /** Why a refresh failed, while older data are shown. */
  failure: string | undefined
  /** When the data came; undefined without any. */
  at: number | undefined
  /** Whether the data are of the range or the variables before. */
  stale: boolean
  actions: ReactNode
}

const ICON =
  'grid size-6 shrink-0 place-items-center rounded text-muted hover:bg-raised hover:text-text'

export function PanelHeader({ panel, meta, failure, at, stale, actions }: Props) {
  const { description, links } = panel.options
  return (
    <header className="panel-header flex h-9 shrink-0 items-center gap-1 px-3">
      <h2 className="truncate text-[13px] font-medium">{panel.title}</h2>
      {links.map((link) => (
        <a
          key={link.url + link.title}
          href={link.url}
          target={link.url.startsWith('/') ? undefined : '_blank'}
          rel="noreferrer"
          className={ICON}
          aria-label={link.title}
          title={link.title}
        >
          <ExternalLink size={14} aria-hidden="true" />
        </a>
      ))}
      <span className="ml-auto flex items-center gap-1">
        <DataAge at={at} stale={stale} />
        {failure && (
          <span
            className="text-danger"
            title={failure}
            role="img"
            aria-label={`Refresh failed: ${failure}`}
          >
            <TriangleAlert size={15} aria-hidden="true" />
          </span>
        )}
        <PanelInfo title={panel.title} description={description} meta={meta} />
        {actions}
      </span>
    </header>
  )
}
