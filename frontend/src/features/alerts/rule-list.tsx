import { Link } from '@tanstack/react-router'
import { TriangleAlert } from 'lucide-react'
import { useState } from 'react'
import type { AlertRule } from '@/api/generated/types.gen'
import { Button, Empty, Field } from '@/components/ui/controls'
import { Dialog } from '@/components/ui/dialog'
import { Headings, Loaded } from './loading'
import { QuietBadge, Severity, StateBadge } from './state-badge'
import { useRuleChanges, useRules } from './use-rules'
import { describeRule } from './words'

export function RuleList({ canEdit }: { canEdit: boolean }) {
  const rules = useRules()
  const { update, remove } = useRuleChanges()
  const [search, setSearch] = useState('')
  const [deleting, setDeleting] = useState<AlertRule | null>(null)
  const wanted = search.toLowerCase()
  return (
    <>
      <Loaded of={rules}>
        {({ data }) => {
          const shown = data.filter((rule) =>
            `${rule.name} ${rule.query}`.toLowerCase().includes(wanted),
          )
          return data.length === 0 ? (
            <Empty title="No alert rules yet">
              A rule watches a query and tells somebody when its value crosses a threshold.{' '}
              {canEdit && (
                <Link to="/alerts/new" className="text-accent underline">
                  Make the first one
                </Link>
              )}
            </Empty>
          ) : (
            <>
              <div className="max-w-sm p-3">
                <Field
                  label="Search rules"
                  type="search"
                  value={search}
                  onChange={(event) => setSearch(event.target.value)}
                />
              </div>
              <table className="w-full min-w-[44rem] text-left">
                <Headings
                  names={['State', 'Rule', 'Fires when', 'Severity', 'Enabled', 'Actions']}
                />
                <tbody>
                  {shown.map((rule) => (
                    <tr key={rule.id} className="border-t border-line align-top">
                      <td className="px-4 py-3">
                        {rule.enabled ? (
                          <StateBadge status={rule.status} count={rule.firing || rule.pending} />
                        ) : (
                          <QuietBadge>Disabled</QuietBadge>
                        )}
                      </td>
                      <td className="max-w-[28rem] px-4 py-3">
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
                      <td className="px-4 py-3">
                        <input
                          type="checkbox"
                          className="size-4 accent-(--accent)"
                          aria-label={`Enable ${rule.name}`}
                          checked={rule.enabled}
                          disabled={!canEdit}
                          onChange={(event) =>
                            update.mutate({
                              path: { rule_id: rule.id },
                              body: { version: rule.version, enabled: event.target.checked },
                            })
                          }
                        />
                      </td>
                      <td className="px-4 py-2">
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
                            <Button
                              look="danger"
                              aria-label={`Delete ${rule.name}`}
                              onClick={() => setDeleting(rule)}
                            >
                              Delete
                            </Button>
                          </div>
                        )}
                      </td>
                    </tr>
                  ))}
                </tbody>
              </table>
              {shown.length === 0 && <Empty title="No rule matches" />}
            </>
          )
        }}
      </Loaded>
      {deleting && (
        <Dialog title={`Delete ${deleting.name}?`} onClose={() => setDeleting(null)}>
          <p className="mb-5 text-muted">
            {deleting.firing
              ? 'It fires now: it resolves, and its channels are told. '
              : 'It is not evaluated any more. '}
            Its history stays.
          </p>
          <div className="flex justify-end gap-2">
            <Button onClick={() => setDeleting(null)}>Keep it</Button>
            <Button
              look="danger"
              onClick={() => {
                remove.mutate({ path: { rule_id: deleting.id } })
                setDeleting(null)
              }}
            >
              Delete the rule
            </Button>
          </div>
        </Dialog>
      )}
    </>
  )
}
