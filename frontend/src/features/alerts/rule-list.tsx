import { Link } from '@tanstack/react-router'
import { Compass, Copy, Ellipsis, Trash2, TriangleAlert } from 'lucide-react'
import { useState } from 'react'
import type { AlertRule } from '@/api/generated/types.gen'
import { Button, Choice, Empty, Field } from '@/components/ui/controls'
import { Dialog } from '@/components/ui/dialog'
import { Menu, MenuItem, MenuLine } from '@/components/ui/menu'
import { useTypedValue } from '@/lib/use-typed-text'
import { type AlertsSearch, filterRules, STATES } from './alerts-search'
import { describeRule, formatTags, SEVERITIES } from './labels'
import { HeadCells, Loaded } from './loaded'
import { QuietBadge, Severity, StateBadge } from './state-badge'
import {
  RULES_PER_PAGE,
  useChangingRules,
  useRuleChanges,
  useRules,
  useSavingRules,
} from './use-rules'

type Props = {
  canEdit: boolean
  search: AlertsSearch
  onSearch: (change: AlertsSearch) => void
}

export function RuleList({ canEdit, search, onSearch }: Props) {
  const rules = useRules(search)
  const saving = useSavingRules()
  const changing = useChangingRules()
  const page = search.page ?? 1
  const filter = (change: AlertsSearch) => onSearch({ ...change, page: undefined })
  const { update, remove } = useRuleChanges()
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set())
  const [deleting, setDeleting] = useState<AlertRule | null>(null)
  const [text, setText] = useTypedValue(search.q ?? '', (q) => filter({ q: q || undefined }))
  const filtered = Boolean(text || search.state || search.severity)
  const choose = (id: string, on: boolean) => {
    const next = new Set(chosen)
    if (on) next.add(id)
    else next.delete(id)
    setChosen(next)
  }
  const toggle = (rule: AlertRule, enabled: boolean) =>
    update.mutate({ path: { rule_id: rule.id }, body: { version: rule.version, enabled } })
  const toggleAll = (which: AlertRule[], enabled: boolean) => {
    setChosen(new Set())
    for (const rule of which) if (rule.enabled !== enabled) toggle(rule, enabled)
  }
  return (
    <>
      <Loaded of={rules}>
        {({ data: saved, meta }) => {
          const data = saved.map((rule) => ({ ...rule, ...changing.get(rule.id) }))
          // Until the server responds to other filters, the rows at hand are filtered here.
          const pending = rules.isPlaceholderData || text !== (search.q ?? '')
          const shown = pending ? filterRules(data, { ...search, q: text || undefined }) : data
          const total = meta?.total ?? data.length
          const marked = shown.filter(({ id }) => chosen.has(id))
          return total === 0 && saving.length === 0 && !filtered ? (
            <Empty title="No alert rules yet">
              A rule evaluates a query and sends notifications when its value crosses a threshold.{' '}
              {canEdit && (
                <Link to="/alerts/new" className="text-accent underline">
                  Create the first rule
                </Link>
              )}
            </Empty>
          ) : (
            <>
              <div className="grid grid-cols-2 items-end gap-3 p-3 sm:grid-cols-[minmax(12rem,24rem)_9rem_9rem_1fr]">
                <div className="col-span-2 sm:col-span-1">
                  <Field
                    label="Search rules"
                    type="search"
                    maxLength={200}
                    placeholder="Name, query or label"
                    value={text}
                    onChange={(event) => setText(event.target.value)}
                  />
                </div>
                <Choice
                  label="State"
                  value={search.state ?? ''}
                  onChange={(event) =>
                    filter({
                      state: STATES.find(({ value }) => value === event.target.value)?.value,
                    })
                  }
                >
                  <option value="">Any</option>
                  {STATES.map(({ value, text }) => (
                    <option key={value} value={value}>
                      {text}
                    </option>
                  ))}
                </Choice>
                <Choice
                  label="Severity"
                  value={search.severity ?? ''}
                  onChange={(event) =>
                    filter({
                      severity: SEVERITIES.find(({ value }) => value === event.target.value)?.value,
                    })
                  }
                >
                  <option value="">Any</option>
                  {SEVERITIES.map(({ value, text }) => (
                    <option key={value} value={value}>
                      {text}
                    </option>
                  ))}
                </Choice>
                {marked.length > 0 && (
                  <div className="col-span-2 flex flex-wrap items-center gap-2 sm:col-span-1 sm:justify-end">
                    <span className="text-sm text-muted">{marked.length} selected</span>
                    <Button onClick={() => toggleAll(marked, true)}>Enable</Button>
                    <Button onClick={() => toggleAll(marked, false)}>Disable</Button>
                  </div>
                )}
              </div>
              <table className="stacked w-full min-w-[46rem] text-left">
                <thead className="text-xs text-muted">
                  <tr>
                    {canEdit && (
                      <th scope="col" className="kept w-8 py-2.5 pl-4">
                        <label className="flex items-center gap-3 font-normal">
                          <input
                            type="checkbox"
                            className="block size-4 accent-(--accent)"
                            aria-label="Select all rules"
                            checked={shown.length > 0 && marked.length === shown.length}
                            onChange={(event) =>
                              setChosen(
                                new Set(event.target.checked ? shown.map(({ id }) => id) : []),
                              )
                            }
                          />
                          <span className="sm:hidden" aria-hidden="true">
                            Select all
                          </span>
                        </label>
                      </th>
                    )}
                    <HeadCells
                      names={['State', 'Rule', 'Fires when', 'Severity', 'Enabled', 'Actions']}
                    />
                  </tr>
                </thead>
                <tbody>
                  {saving.map((rule) => (
                    <tr key={rule.name} aria-busy="true" className="border-t border-line align-top">
                      {canEdit && <td />}
                      <td className="px-4 py-3">
                        <QuietBadge>Saving…</QuietBadge>
                      </td>
                      <td className="line max-w-[28rem] px-4 py-3">
                        <span className="font-medium">{rule.name}</span>
                        <code className="block truncate text-xs text-muted" title={rule.query}>
                          {rule.query}
                        </code>
                      </td>
                      <td className="px-4 py-3 whitespace-nowrap tabular-nums">
                        {describeRule({ reducer: 'last', duration: '0s', ...rule })}
                      </td>
                      <td className="px-4 py-3">
                        <Severity value={rule.severity ?? 'warning'} />
                      </td>
                      <td colSpan={2} />
                    </tr>
                  ))}
                  {shown.map((rule) => (
                    <tr key={rule.id} className="border-t border-line align-top">
                      {canEdit && (
                        <td className="w-8 py-3 pl-4 max-sm:-order-3">
                          <input
                            type="checkbox"
                            className="mt-0.5 block size-4 accent-(--accent)"
                            aria-label={`Select ${rule.name}`}
                            checked={chosen.has(rule.id)}
                            onChange={(event) => choose(rule.id, event.target.checked)}
                          />
                        </td>
                      )}
                      <td className="px-4 py-3 max-sm:-order-2">
                        {changing.has(rule.id) ? (
                          <QuietBadge>Saving…</QuietBadge>
                        ) : rule.enabled ? (
                          <StateBadge status={rule.status} count={rule.firing || rule.pending} />
                        ) : (
                          <QuietBadge>Disabled</QuietBadge>
                        )}
                      </td>
                      <td className="line max-w-[28rem] px-4 py-3">
                        <Link
                          to="/alerts/$id"
                          params={{ id: rule.id }}
                          className="font-medium hover:underline"
                        >
                          {rule.name}
                        </Link>
                        <code className="block truncate text-xs text-muted" title={rule.query}>
                          {rule.query}
                        </code>
                        {Object.keys(rule.labels).length > 0 && (
                          <p className="mt-0.5 truncate text-xs text-muted">
                            {formatTags(rule.labels)}
                          </p>
                        )}
                        {rule.lastError && (
                          <p className="mt-1 flex items-center gap-1.5 text-xs text-danger">
                            <TriangleAlert size={13} aria-hidden="true" /> {rule.lastError}
                          </p>
                        )}
                      </td>
                      <td className="px-4 py-3 whitespace-nowrap tabular-nums">
                        {describeRule(rule)}
                      </td>
                      <td className="px-4 py-3">
                        <Severity value={rule.severity} />
                      </td>
                      <td className="px-4 py-3" data-label="Enabled">
                        <input
                          type="checkbox"
                          className="size-4 align-[-0.15em] accent-(--accent)"
                          aria-label={`Enable ${rule.name}`}
                          checked={rule.enabled}
                          disabled={!canEdit}
                          onChange={(event) => toggle(rule, event.target.checked)}
                        />
                      </td>
                      <td className="px-4 py-2 max-sm:-order-1 max-sm:ml-auto">
                        {canEdit && (
                          <div className="flex gap-2">
                            <Link
                              to="/alerts/$id/edit"
                              params={{ id: rule.id }}
                              aria-label={`Edit ${rule.name}`}
                              className="inline-flex h-9 items-center rounded-md border border-line px-3 text-sm font-medium hover:bg-raised"
                            >
                              Edit
                            </Link>
                            <Menu
                              trigger={
                                <Button variant="ghost" aria-label={`More for ${rule.name}`}>
                                  <Ellipsis size={16} aria-hidden="true" />
                                </Button>
                              }
                            >
                              <MenuItem asChild>
                                <Link to="/alerts/new" search={{ from: rule.id }}>
                                  <Copy size={15} aria-hidden="true" /> Duplicate
                                </Link>
                              </MenuItem>
                              <MenuItem asChild>
                                <Link to="/explore" search={{ q: rule.query }}>
                                  <Compass size={15} aria-hidden="true" /> Open in Explore
                                </Link>
                              </MenuItem>
                              <MenuLine />
                              <MenuItem danger onSelect={() => setDeleting(rule)}>
                                <Trash2 size={15} aria-hidden="true" /> Delete…
                              </MenuItem>
                            </Menu>
                          </div>
                        )}
                      </td>
                    </tr>
                  ))}
                </tbody>
              </table>
              {shown.length + saving.length === 0 && <Empty title="No matching rules" />}
              {(total > RULES_PER_PAGE || page > 1) && (
                <div className="flex items-center justify-end gap-2 border-t border-line p-3 text-sm">
                  <span className="text-muted tabular-nums">
                    {total.toLocaleString()} rules · page {page} of{' '}
                    {Math.max(1, Math.ceil(total / RULES_PER_PAGE)).toLocaleString()}
                  </span>
                  <Button
                    disabled={page === 1}
                    onClick={() => onSearch({ page: page > 2 ? page - 1 : undefined })}
                  >
                    Previous
                  </Button>
                  <Button
                    disabled={page * RULES_PER_PAGE >= total}
                    onClick={() => onSearch({ page: page + 1 })}
                  >
                    Next
                  </Button>
                </div>
              )}
            </>
          )
        }}
      </Loaded>
      {deleting && (
        <Dialog title={`Delete ${deleting.name}?`} onClose={() => setDeleting(null)}>
          <p className="mb-5 text-muted">
            {deleting.firing
              ? 'It is firing: it will resolve, and its channels will be notified. '
              : 'It will no longer be evaluated. '}
            Its history is kept.
          </p>
          <div className="flex justify-end gap-2">
            <Button onClick={() => setDeleting(null)}>Cancel</Button>
            <Button
              variant="danger"
              onClick={() => {
                remove.mutate({ path: { rule_id: deleting.id } })
                setDeleting(null)
              }}
            >
              Delete rule
            </Button>
          </div>
        </Dialog>
      )}
    </>
  )
}
