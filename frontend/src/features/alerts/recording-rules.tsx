import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { Plus } from 'lucide-react'
import { useDeferredValue, useState } from 'react'
import {
  deleteRecordingRuleMutation,
  listRecordingRulesOptions,
  updateRecordingRuleMutation,
} from '@/api/generated/@tanstack/react-query.gen'
import type { RecordingRule } from '@/api/generated/types.gen'
import { Button, Empty, Field } from '@/components/ui/controls'
import { POLL } from './labels'
import { Loaded, TableHead } from './loaded'
import { RecordingEditor } from './recording-editor'
import { refreshAlerts } from './refresh-alerts'
import { QuietBadge } from './state-badge'

const PAGE = 200

/** Rules that write what their query returns as a metric of their own, by group. */
export function RecordingRules({ canEdit }: { canEdit: boolean }) {
  const [search, setSearch] = useState('')
  const [page, setPage] = useState(1)
  const [edited, setEdited] = useState<RecordingRule | 'new' | null>(null)
  const words = useDeferredValue(search)
  const rules = useQuery({
    ...listRecordingRulesOptions({ query: { search: words, page, pageSize: PAGE } }),
    placeholderData: (before) => before,
    refetchInterval: POLL,
    refetchIntervalInBackground: false,
  })
  const cache = useQueryClient()
  const onSettled = () => refreshAlerts(cache)
  const update = useMutation({ ...updateRecordingRuleMutation(), onSettled })
  const remove = useMutation({ ...deleteRecordingRuleMutation(), onSettled })
  const confirmed = (rule: RecordingRule) =>
    window.confirm(`Delete ${rule.name}? What it has written stays.`)
  return (
    <>
      <div className="mb-3 flex flex-wrap items-end gap-3">
        <p className="mr-auto text-muted">
          A recording rule evaluates a query at the interval of its group and stores the result as a
          metric.
        </p>
        <div className="w-56">
          <Field
            label="Search recording rules"
            type="search"
            value={search}
            onChange={(event) => {
              setSearch(event.target.value)
              setPage(1)
            }}
          />
        </div>
        {canEdit && (
          <Button onClick={() => setEdited('new')}>
            <Plus size={16} aria-hidden="true" /> New recording rule
          </Button>
        )}
      </div>
      <Loaded of={rules}>
        {({ data, meta }) =>
          data.length === 0 ? (
            <Empty title={words ? 'No recording rule matches' : 'No recording rules'} />
          ) : (
            <>
              <table className="stacked w-full min-w-[44rem] text-left">
                <TableHead names={['Group', 'Metric', 'Query', 'Series', 'State', 'Actions']} />
                <tbody>
                  {data.map((rule) => (
                    <tr key={rule.id} className="border-t border-line align-top">
                      <td className="line px-4 py-2.5">
                        {rule.group || 'no group'}{' '}
                        <span className="text-xs text-muted">every {rule.interval}</span>
                      </td>
                      <td className="px-4 py-2.5 font-mono text-xs break-all">{rule.name}</td>
                      <td className="line max-w-md px-4 py-2.5 font-mono text-xs break-words">
                        {rule.query}
                        {rule.lastError && (
                          <p role="alert" className="mt-1 font-sans text-danger">
                            {rule.lastError}
                          </p>
                        )}
                      </td>
                      <td className="px-4 py-2.5 tabular-nums" data-label="Series">
                        {rule.series}
                      </td>
                      <td className="px-4 py-2.5">
                        <QuietBadge>
                          {rule.enabled ? (rule.lastError ? 'Failing' : 'On') : 'Disabled'}
                        </QuietBadge>
                      </td>
                      <td className="flex gap-2 px-4 py-2">
                        <Button
                          aria-label={`${canEdit ? 'Edit' : 'Show'} ${rule.name}`}
                          onClick={() => setEdited(rule)}
                        >
                          {canEdit ? 'Edit' : 'Show'}
                        </Button>
                        {canEdit && (
                          <>
                            <Button
                              aria-label={`${rule.enabled ? 'Disable' : 'Enable'} ${rule.name}`}
                              onClick={() =>
                                update.mutate({
                                  path: { rule_id: rule.id },
                                  body: { enabled: !rule.enabled },
                                })
                              }
                            >
                              {rule.enabled ? 'Disable' : 'Enable'}
                            </Button>
                            <Button
                              aria-label={`Delete ${rule.name}`}
                              onClick={() =>
                                confirmed(rule) && remove.mutate({ path: { rule_id: rule.id } })
                              }
                            >
                              Delete
                            </Button>
                          </>
                        )}
                      </td>
                    </tr>
                  ))}
                </tbody>
              </table>
              {(meta?.total ?? 0) > PAGE && (
                <div className="flex items-center gap-3 border-t border-line p-3 text-sm">
                  <span className="mr-auto text-muted">{meta?.total} recording rules</span>
                  <Button disabled={page === 1} onClick={() => setPage(page - 1)}>
                    Previous
                  </Button>
                  <Button
                    disabled={page * PAGE >= (meta?.total ?? 0)}
                    onClick={() => setPage(page + 1)}
                  >
                    Next
                  </Button>
                </div>
              )}
            </>
          )
        }
      </Loaded>
      {edited && (
        <RecordingEditor
          rule={edited === 'new' ? undefined : edited}
          canEdit={canEdit}
          onClose={() => setEdited(null)}
        />
      )}
    </>
  )
}
