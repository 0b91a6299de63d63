import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { ChartLine, Trash2 } from 'lucide-react'
import { useState } from 'react'
import {
  getMeOptions,
  getMetricUsageOptions,
  getSeriesUsageOptions,
} from '@/api/generated/@tanstack/react-query.gen'
import type { SeriesUsage, TagUsage } from '@/api/generated/types.gen'
import { Button, Card, Empty, Failure, FIELD, Page, Skeleton } from '@/components/ui/controls'
import { timeAgo } from '@/lib/age'
import { messageOf } from '@/lib/errors'
import { writeSelector } from '@/lib/selectors'
import { useDebounced } from '@/lib/use-debounced'
import { useTypedValue } from '@/lib/use-typed-text'
import { count, dollars, lastSeenText, rate, Tile } from './amounts'
import { DeleteSeries } from './delete-series'
import { addCondition, type MetricUsageSearch } from './usage-search'
import { Pager, UsageTable } from './usage-table'

const PAGE_SIZE = 50

type Props = {
  name: string
  search: MetricUsageSearch
  onSearch: (search: MetricUsageSearch) => void
  /** Called when the metric has been deleted. */
  onGone: () => Promise<void>
}

/** One metric: which tags multiply its series, which series there are, and deleting them. */
export function MetricUsagePage({ name, search, onSearch, onGone }: Props) {
  const me = useQuery(getMeOptions())
  const detail = useQuery(getMetricUsageOptions({ path: { name } }))
  const [deleting, setDeleting] = useState<string>()
  const mayDelete = me.data !== undefined && me.data.data.role !== 'viewer'
  const found = detail.data?.data
  return (
    <Page
      title={name}
      actions={
        <>
          <Link
            to="/metrics/$name"
            params={{ name }}
            className="inline-flex h-9 items-center gap-2 rounded-md border border-line bg-surface px-3 text-sm font-medium hover:bg-raised"
          >
            <ChartLine size={15} aria-hidden="true" /> Chart
          </Link>
          {mayDelete && found && (
            <Button variant="danger" onClick={() => setDeleting(name)}>
              <Trash2 size={15} aria-hidden="true" /> Delete metric
            </Button>
          )}
        </>
      }
    >
      <p className="-mt-2 mb-4 text-sm">
        <Link to="/usage" className="text-accent underline">
          Usage
        </Link>
      </p>
      {detail.error && !found ? (
        <Card>
          <Failure message={messageOf(detail.error)} onRetry={() => void detail.refetch()} />
        </Card>
      ) : !found ? (
        <Skeleton className="h-40" />
      ) : (
        <>
          <ul className="grid grid-cols-2 gap-3 lg:grid-cols-4">
            <Tile name="Series" value={count(found.usage.seriesCount)} under="in total" />
            <Tile
              name="New series (24 h)"
              value={count(found.usage.newLastDay)}
              under={`${count(found.usage.newLastHour)} of them in the last hour`}
            />
            <Tile
              name="Samples"
              value={rate(found.usage.samplesPerSecond)}
              under="over the last five minutes"
            />
            <Tile
              name="Estimated monthly cost"
              value={dollars(found.usage.monthlyDollars)}
              under="requests, functions, storage"
            />
          </ul>
          <h2 className="mt-6 mb-2 font-medium">Tags</h2>
          <Card>
            {found.tags.length === 0 ? (
              <p className="p-4 text-muted">This metric has no tags.</p>
            ) : (
              <UsageTable
                label="Tags"
                rows={found.tags}
                id={({ key }) => key}
                columns={tagColumns((key, value) =>
                  onSearch({ where: addCondition(search.where, key, value) }),
                )}
              />
            )}
          </Card>
          <SeriesList
            name={name}
            search={search}
            onSearch={onSearch}
            onDelete={mayDelete ? setDeleting : undefined}
          />
        </>
      )}
      {deleting && (
        <DeleteSeries
          selector={deleting}
          onClose={() => setDeleting(undefined)}
          onDeleted={(metricToo) => (metricToo ? onGone() : onSearch({}))}
        />
      )}
    </Page>
  )
}

const tagColumns = (onChoose: (key: string, value: string) => void) => [
  { title: 'Tag', cell: ({ key }: TagUsage) => <span className="font-medium">{key}</span> },
  { title: 'Values', number: true, cell: (row: TagUsage) => count(row.valueCount) },
  { title: 'Series', number: true, cell: (row: TagUsage) => count(row.seriesCount) },
  {
    title: 'Most used',
    cell: ({ key, values }: TagUsage) => (
      <ul className="flex flex-wrap gap-1.5">
        {values.map(({ value, seriesCount }) => (
          <li key={value}>
            <button
              type="button"
              title={`Show only series with ${key}=${value}`}
              className="rounded bg-raised px-2 py-0.5 text-left text-xs break-all hover:text-accent"
              onClick={() => onChoose(key, value)}
            >
              {value} <span className="text-muted">{count(seriesCount)}</span>
            </button>
          </li>
        ))}
      </ul>
    ),
  },
]

function SeriesList({
  name,
  search,
  onSearch,
  onDelete,
}: Omit<Props, 'onGone'> & { onDelete: ((selector: string) => void) | undefined }) {
  const { where = '', page = 1 } = search
  const [text, setText] = useTypedValue(where, (typed) => onSearch({ where: typed || undefined }))
  const selector = useDebounced(writeSelector(name, where), 300)
  const { data, error } = useQuery({
    ...getSeriesUsageOptions({ query: { selector, page, pageSize: PAGE_SIZE } }),
    placeholderData: keepPreviousData,
  })
  const total = data?.meta?.total ?? 0
  return (
    <>
      <div className="mt-6 mb-2 flex flex-wrap items-end gap-2">
        <h2 className="mr-auto font-medium">Series</h2>
        <input
          aria-label="Filter series by tags"
          aria-invalid={error ? true : undefined}
          placeholder={'host="web-1", path=~"/user/.*"'}
          className={`${FIELD} font-mono !text-xs sm:!w-96`}
          value={text}
          onChange={({ target }) => setText(target.value)}
        />
        {onDelete && text === where && where.trim() && !error && total > 0 && (
          <Button variant="danger" onClick={() => onDelete(selector)}>
            <Trash2 size={15} aria-hidden="true" /> Delete {count(total)} series
          </Button>
        )}
      </div>
      {error && (
        <p role="alert" className="mb-2 text-sm text-danger">
          {messageOf(error)}
        </p>
      )}
      <Card>
        {!data ? (
          <Skeleton className="m-4 h-40" />
        ) : data.data.length === 0 ? (
          <Empty title="No series match these tags" />
        ) : (
          <>
            <UsageTable
              label="Series"
              rows={data.data}
              id={({ tags }) => JSON.stringify(tags)}
              columns={SERIES_COLUMNS}
            />
            <Pager
              page={page}
              pageSize={PAGE_SIZE}
              total={total}
              onPage={(next) => onSearch({ ...search, page: next })}
            />
          </>
        )}
      </Card>
    </>
  )
}

const SERIES_COLUMNS = [
  {
    title: 'Tags',
    cell: ({ tags }: SeriesUsage) => (
      <span className="font-mono text-xs break-all">
        {Object.entries(tags)
          .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
          .join(', ') || 'none'}
      </span>
    ),
  },
  {
    title: 'Created',
    cell: ({ createdAt }: SeriesUsage) => (
      <span className="whitespace-nowrap text-muted">{timeAgo(createdAt, Date.now())}</span>
    ),
  },
  {
    title: 'Last seen',
    cell: ({ lastSeen }: SeriesUsage) => (
      <span className="whitespace-nowrap text-muted">{lastSeenText(lastSeen, Date.now())}</span>
    ),
  },
]
