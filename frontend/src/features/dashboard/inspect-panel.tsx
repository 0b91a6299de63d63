import { Download, ListTree } from 'lucide-react'
import { use, useState } from 'react'
import type { BatchAnswer, Panel, PanelQuery, QueryFilter } from '@/api/generated/types.gen'
import { csvOf } from '@/charts/csv'
import { applyOverrides, needsPatterns } from '@/charts/series-style'
import { Button } from '@/components/ui/controls'
import { Dialog } from '@/components/ui/dialog'
import { download } from '@/lib/download'
import { messageOf } from '@/lib/errors'
import { loadPatterns } from '@/lib/patterns'
import type { TimeRange } from '@/lib/time-range'
import { formatValue } from '@/lib/units'
import { timeZoneOf, useZone } from '@/lib/zone'
import { ExplainedQuery } from './explained-query'
import { responsesOf, tableOf } from './panel/panel-results'
import { type BoardData, useExplain } from './use-board-data'

type Props = {
  panel: Panel
  data: BoardData | undefined
  range: TimeRange
  filters: QueryFilter[]
  onClose: () => void
}

/** Rows shown; the CSV file contains all. */
const SHOWN = 100

/** The numbers behind a panel, the newest first, and its queries. */
export function InspectPanel({ panel, data, range, filters, onClose }: Props) {
  const zone = useZone()
  if (needsPatterns(panel.options.overrides)) use(loadPatterns())
  const [explained, setExplained] = useState(false)
  const explain = useExplain(explained ? panel : undefined, range, zone, filters)
  const explanations = explained ? responsesOf(panel, explain.data) : []
  const responses = responsesOf(panel, data)
  const table = tableOf(responses)
  const lines = applyOverrides(table, panel.options)
  const clock = new Intl.DateTimeFormat(undefined, {
    dateStyle: 'short',
    timeStyle: 'medium',
    timeZone: timeZoneOf(zone),
  })
  const newest = [...table.times.entries()].reverse().slice(0, SHOWN)
  const file = `${panel.title.replace(/[^\p{L}\p{N}]+/gu, '-').toLowerCase() || 'panel'}.csv`
  return (
    <Dialog title={`Data of ${panel.title}`} wide onClose={onClose}>
      <div className="mb-3 flex items-center gap-3">
        <p className="mr-auto text-muted">
          {lines.length} series, {table.times.length} timestamps
          {table.times.length > SHOWN && `, newest ${SHOWN} shown`}
        </p>
        <Button
          disabled={!table.times.length}
          onClick={() => download(file, csvOf(table.times, lines), 'text/csv')}
        >
          <Download size={15} aria-hidden="true" /> Download CSV
        </Button>
      </div>
      <section
        className="max-h-[45vh] overflow-auto rounded-md border border-line"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard
        tabIndex={0}
        aria-label="Values"
      >
        <table className="w-full text-left text-xs">
          <thead className="sticky top-0 bg-raised text-muted">
            <tr>
              <th scope="col" className="px-2 py-1.5 font-medium">
                Time
              </th>
              {lines.map((line) => (
                <th key={line.key} scope="col" className="px-2 py-1.5 text-right font-medium">
                  {line.label}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {newest.map(([index, time]) => (
              <tr key={time} className="border-t border-line">
                <th scope="row" className="px-2 py-1 font-normal whitespace-nowrap text-muted">
                  {clock.format(time)}
                </th>
                {lines.map((line) => (
                  <td
                    key={line.key}
                    className="px-2 py-1 text-right whitespace-nowrap tabular-nums"
                  >
                    {formatValue(line.values[index], line.unit, panel.options.decimals)}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
        {!newest.length && <p className="p-6 text-center text-muted">No data in this range</p>}
      </section>
      <div className="mt-4 mb-1 flex items-center gap-3">
        <h3 className="mr-auto text-xs font-medium text-muted">Queries</h3>
        <Button
          disabled={explain.isFetching}
          onClick={() => (explained ? void explain.refetch() : setExplained(true))}
        >
          <ListTree size={15} aria-hidden="true" /> Explain
        </Button>
      </div>
      {explain.error && (
        <p role="alert" className="mb-1 text-xs text-danger">
          {messageOf(explain.error)}
        </p>
      )}
      <ul className="max-h-[30vh] space-y-1.5 overflow-y-auto">
        {responses.map(({ query, response }, index) => (
          <li key={`${index}-${query.query}`} className="text-xs">
            <code className="block break-words">{query.query}</code>
            <span className="text-muted">{describe(query, response)}</span>
            <Explanation response={explanations[index]?.response} />
          </li>
        ))}
      </ul>
    </Dialog>
  )
}

function Explanation({ response }: { response: BatchAnswer | undefined }) {
  if (response?.error) return <span className="block text-danger">{response.error.error}</span>
  const explain = response?.result?.meta.explain
  return explain ? <ExplainedQuery explain={explain} /> : null
}

function describe(query: PanelQuery, response: BatchAnswer | undefined): string {
  if (query.hidden) return 'hidden'
  if (!response?.result) return response?.error?.error ?? 'no response yet'
  const { table, resolution, cached, rowsRead } = response.result.meta
  const cost = cached ? 'from the cache' : `${(rowsRead ?? 0).toLocaleString('en-US')} rows read`
  return `${table}, step ${resolution}, ${cost}`
}
