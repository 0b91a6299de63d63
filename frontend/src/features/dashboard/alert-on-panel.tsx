import { Link } from '@tanstack/react-router'
import { BellPlus } from 'lucide-react'
import type { Panel, PanelQuery } from '@/api/generated/types.gen'
import { MenuItem } from '@/components/ui/menu'
import { quote, writeKey, writeSelector } from '@/lib/selectors'

/** A panel's query as a rule uses it: one expression, tags and grouping included. */
export function alertQueryOf({ query, tags, groupBy, aggregation }: PanelQuery): string {
  const pairs = Object.entries(tags ?? {}).map(
    ([key, value]) => `${writeKey(key)}=${quote(String(value))}`,
  )
  if (!/^[\w:.]+$/.test(query.trim())) return query
  const name = query.trim()
  const filter = pairs.join(', ')
  const by = ['avg', 'min', 'max', 'sum', 'count'].includes(aggregation) ? aggregation : 'avg'
  if (!groupBy?.length && !filter) return name
  const selected = writeSelector(name, filter)
  return groupBy?.length ? `${by} by (${groupBy.map(writeKey).join(', ')}) (${selected})` : selected
}

/** Starts an alert rule with the query of a panel. */
export function AlertOnPanel({ panel }: { panel: Panel }) {
  const first = panel.queries.find(({ hidden, query }) => !hidden && query.trim() !== '')
  if (!first) return null
  return (
    <MenuItem asChild>
      <Link to="/alerts/new" search={{ query: alertQueryOf(first), name: panel.title }}>
        <BellPlus size={15} aria-hidden="true" /> Alert on this
      </Link>
    </MenuItem>
  )
}
