import { ExternalLink, TriangleAlert } from 'lucide-react'
import { type ReactNode, use } from 'react'
import type { Panel, QueryMeta } from '@/api/generated/types.gen'
import { fillLink, LinkContextProvider } from '../field-links'
import { DataAge } from './data-age'
import { PanelInfo } from './panel-info'
import { useUnfinished } from './unfinished-patterns'

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
  const context = use(LinkContextProvider)
  const unfinished = useUnfinished(panel)
  return (
    <header className="panel-header flex h-9 shrink-0 items-center gap-1 px-3">
      <h2 className="min-w-0 truncate text-[13px] font-medium" title={panel.title}>
        {panel.title}
      </h2>
      <span className="panel-info contents">
        <PanelInfo title={panel.title} description={description} meta={meta} />
      </span>
      {links.map((link) => (
        <a
          key={link.url + link.title}
          href={fillLink(link.url, context)}
          target={link.url.startsWith('/') ? undefined : '_blank'}
          rel="noreferrer"
          className={ICON}
          aria-label={link.title}
          title={link.title}
        >
          <ExternalLink size={14} aria-hidden="true" />
        </a>
      ))}
      <span className="ml-auto flex shrink-0 items-center gap-1">
        <DataAge at={at} stale={stale} />
        {unfinished && (
          <span className="text-warn" title={unfinished} role="img" aria-label={unfinished}>
            <TriangleAlert size={15} aria-hidden="true" />
          </span>
        )}
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
        <span className="panel-actions flex items-center gap-1">{actions}</span>
      </span>
    </header>
  )
}
