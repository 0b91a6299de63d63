import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import clsx from 'clsx'
import {
  getAlertRulesOptions,
  getDashboardsOptions,
} from '@/api/generated/@tanstack/react-query.gen'
import type { Panel } from '@/api/generated/types.gen'
import { messageOf } from '@/lib/errors'

const EVERY = 15_000
const MOST = 50

const URGENCY = ['firing', 'pending', 'error']

/** Alert rules, those that fire first. */
export function AlertList({ panel }: { panel: Panel }) {
  const { data, error } = useQuery({
    ...getAlertRulesOptions(),
    refetchInterval: EVERY,
    meta: { silent: true },
  })
  const rules = [...(data?.data ?? [])].sort((a, b) => {
    const place = (status: string) =>
      URGENCY.includes(status) ? URGENCY.indexOf(status) : URGENCY.length
    return place(a.status) - place(b.status) || a.name.localeCompare(b.name)
  })
  if (error) return <p className="text-sm text-danger">{messageOf(error)}</p>
  if (data && !rules.length)
    return <p className="grid h-full place-items-center text-muted">No alert rules</p>
  return (
    <ul
      className="h-full divide-y divide-line overflow-y-auto"
      aria-label={panel.title || 'Alerts'}
    >
      {rules.slice(0, MOST).map((rule) => (
        <li key={rule.id} className="flex items-center gap-2 py-1.5">
          <span
            className={clsx(
              'size-2.5 shrink-0 rounded-full',
              rule.status === 'firing'
                ? 'bg-danger'
                : rule.status === 'pending'
                  ? 'bg-warn'
                  : 'bg-ok',
            )}
            aria-hidden="true"
          />
          <Link to="/alerts/$id" params={{ id: rule.id }} className="truncate hover:underline">
            {rule.name}
          </Link>
          <span className="ml-auto shrink-0 text-xs text-muted">{rule.status}</span>
        </li>
      ))}
    </ul>
  )
}

/** Dashboards, those that were opened last first. */
export function DashboardList({ panel }: { panel: Panel }) {
  const { data, error } = useQuery({
    ...getDashboardsOptions({ query: { order: 'viewed', pageSize: MOST } }),
    meta: { silent: true },
  })
  if (error) return <p className="text-sm text-danger">{messageOf(error)}</p>
  return (
    <ul
      className="h-full divide-y divide-line overflow-y-auto"
      aria-label={panel.title || 'Dashboards'}
    >
      {data?.data.map((board) => (
        <li key={board.id} className="flex items-center gap-2 py-1.5">
          <Link to="/dashboards/$id" params={{ id: board.id }} className="truncate hover:underline">
            {board.name}
          </Link>
          <span className="ml-auto shrink-0 text-xs text-muted">{board.panelCount} panels</span>
        </li>
      ))}
    </ul>
  )
}

/** A panel of another product that is not drawn, with its JSON. */
export function UnknownPanel({ panel }: { panel: Panel }) {
  const { source } = panel.options
  const kind = typeof source?.type === 'string' ? source.type : undefined
  return (
    <div className="h-full overflow-auto text-sm text-muted">
      <p>
        {kind ? `Panels of type ${kind} are not drawn here.` : 'This panel is not drawn here.'} It
        is kept, and exported as it was.
      </p>
      {source && (
        <details className="mt-2">
          <summary className="cursor-pointer">JSON</summary>
          <pre className="mt-1 overflow-x-auto rounded bg-raised p-2 text-xs">
            {JSON.stringify(source, null, 2)}
          </pre>
        </details>
      )}
    </div>
  )
}
