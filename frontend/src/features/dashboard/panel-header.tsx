import { ExternalLink, Info, TriangleAlert } from 'lucide-react'
import type { ReactNode } from 'react'
import type { Panel } from '@/api/generated/types.gen'
import { Popover } from '@/components/ui/popover'

type Props = {
  panel: Panel
  /** What the answer cost, as a title. */
  cost: string | undefined
  /** Why a refresh failed, while older data are shown. */
  failure: string | undefined
  actions: ReactNode
}

const ICON =
  'grid size-6 shrink-0 place-items-center rounded text-muted hover:bg-raised hover:text-text'

export function PanelHeader({ panel, cost, failure, actions }: Props) {
  const { description, links } = panel.options
  return (
    <header className="panel-header flex h-9 shrink-0 items-center gap-1 px-3" title={cost}>
      <h2 className="truncate text-[13px] font-medium">{panel.title}</h2>
      {description && (
        <Popover
          label={`About ${panel.title}`}
          className="w-72 whitespace-pre-line"
          align="start"
          trigger={
            <button type="button" className={ICON} aria-label={`About ${panel.title}`}>
              <Info size={14} aria-hidden="true" />
            </button>
          }
        >
          {description}
        </Popover>
      )}
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
        {actions}
      </span>
    </header>
  )
}
