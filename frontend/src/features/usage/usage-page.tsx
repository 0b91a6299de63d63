import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import {
  getUsageByMetricOptions,
  getUsageByTagOptions,
  getUsageOptions,
} from '@/api/generated/@tanstack/react-query.gen'
import type {
  KeyUsage,
  MetricOrder,
  MetricUsage,
  TagUsage,
  UsageOverview,
} from '@/api/generated/types.gen'
import { AddData } from '@/components/add-data'
import { Card, Empty, Failure, FIELD, Page, Select, Skeleton } from '@/components/ui/controls'
import { Tabs } from '@/components/ui/tabs'
import { messageOf } from '@/lib/errors'
import { useTypedValue } from '@/lib/use-typed-text'
import { count, dollars, LimitBar, lastSeenText, price, rate, Tile } from './amounts'
import { ORDERS, type UsageSearch } from './usage-search'
import { Pager, UsageTable } from './usage-table'

const PAGE_SIZE = 50

type Props = { search: UsageSearch; onSearch: (search: UsageSearch) => void }

/** How much data there is, who sends it, how fast it grows and what it is likely to cost. */
export function UsagePage({ search, onSearch }: Props) {
  const { data, error, refetch } = useQuery({ ...getUsageOptions(), refetchInterval: 60_000 })
  const overview = data?.data
  return (
    <Page title="Usage">
      {error && !overview ? (
        <Card>
          <Failure message={messageOf(error)} onRetry={() => void refetch()} />
        </Card>
      ) : !overview ? (
        <Skeleton className="h-48" />
      ) : overview.metricsCount === 0 ? (
        <Card>
          <Empty title="No data received yet">
            <AddData />
          </Empty>
        </Card>
      ) : (
        <>
          <Totals overview={overview} />
          <Tabs
            label="Usage by"
            tabs={[
              {
                value: 'metrics',
                label: 'Metrics',
                content: <Metrics search={search} onSearch={onSearch} overview={overview} />,
              },
              { value: 'tags', label: 'Tags', content: <Tags /> },
              { value: 'keys', label: 'API keys', content: <Keys overview={overview} /> },
            ]}
          />
        </>
      )}
    </Page>
  )
}

function Totals({ overview }: { overview: UsageOverview }) {
  const { total, metricsCount, prices, deleting } = overview
  return (
    <>
      <ul className="grid grid-cols-2 gap-3 lg:grid-cols-4">
        <Tile
          name="Series"
          value={count(total.seriesCount)}
          under={`in ${count(metricsCount)} metrics`}
        />
        <Tile
          name="New series (24 h)"
          value={count(total.newLastDay)}
          under={`${count(total.newLastHour)} of them in the last hour`}
        />
        <Tile
          name="Samples"
          value={rate(total.samplesPerSecond)}
          under={
            total.samplesPerSecond === null
              ? 'available once the first minutes are rolled up'
              : 'over the last five minutes'
          }
        />
        <Tile
          name="Estimated monthly cost"
          value={dollars(total.monthlyDollars)}
          under="on AWS, in addition to fixed costs"
        />
      </ul>
      <p className="mt-3 mb-5 max-w-3xl text-xs text-muted">
        The estimate assumes {price(prices.millionSamples)} per million samples and{' '}
        {price(prices.thousandSeries)} per month for a thousand series: requests, functions and
        storage. It excludes the database instance, the cache and queries.
        {deleting > 0 &&
          ` The samples of ${count(deleting)} deleted series are still being removed.`}
      </p>
    </>
  )
}

function Metrics({ search, onSearch, overview }: Props & { overview: UsageOverview }) {
  const { q = '', order = 'series', page = 1 } = search
  const [text, setText] = useTypedValue(q, (typed) =>
    onSearch({ order: search.order, q: typed || undefined }),
  )
  const { data, error, refetch } = useQuery({
    ...getUsageByMetricOptions({ query: { search: q, order, page, pageSize: PAGE_SIZE } }),
    placeholderData: keepPreviousData,
    refetchInterval: 60_000,
  })
  return (
    <>
      <div className="mb-3 flex flex-wrap gap-2">
        <input
          type="search"
          aria-label="Search metrics"
          placeholder="Search"
          className={`${FIELD} sm:!w-64`}
          value={text}
          onChange={({ target }) => setText(target.value)}
        />
        <Select
          label="Order"
          value={order}
          onChange={({ target }) => onSearch({ q: search.q, order: target.value as MetricOrder })}
        >
          {Object.entries(ORDERS).map(([value, label]) => (
            <option key={value} value={value}>
              {label}
            </option>
          ))}
        </Select>
      </div>
      <Card>
        {error && !data ? (
          <Failure message={messageOf(error)} onRetry={() => void refetch()} />
        ) : !data ? (
          <Skeleton className="m-4 h-40" />
        ) : data.data.length === 0 ? (
          <Empty title={`No metrics match “${q}”`} />
        ) : (
          <>
            <UsageTable
              label="Metrics"
              rows={data.data}
              id={({ name }) => name}
              columns={metricColumns(overview.limits.perMetric)}
            />
            <Pager
              page={page}
              pageSize={PAGE_SIZE}
              total={data.meta?.total ?? 0}
              onPage={(next) => onSearch({ ...search, page: next })}
            />
          </>
        )}
      </Card>
    </>
  )
}

const metricColumns = (limit: number) => [
  {
    title: 'Metric',
    cell: ({ name }: MetricUsage) => (
      <Link
        to="/usage/$name"
        params={{ name }}
        className="block min-w-44 font-medium break-all text-accent hover:underline"
      >
        {name}
      </Link>
    ),
  },
  { title: 'Series', number: true, cell: (row: MetricUsage) => count(row.seriesCount) },
  {
    title: 'Limit',
    cell: (row: MetricUsage) => (
      <LimitBar value={row.seriesCount} limit={limit} of="series per metric" />
    ),
  },
  { title: 'New (1 h)', number: true, cell: (row: MetricUsage) => count(row.newLastHour) },
  { title: 'New (24 h)', number: true, cell: (row: MetricUsage) => count(row.newLastDay) },
  { title: 'Samples', number: true, cell: (row: MetricUsage) => rate(row.samplesPerSecond) },
  { title: 'Monthly cost', number: true, cell: (row: MetricUsage) => dollars(row.monthlyDollars) },
  {
    title: 'Last seen',
    cell: ({ lastSeen }: MetricUsage) => (
      <span className="whitespace-nowrap text-muted">
        {lastSeen ? lastSeenText(lastSeen, Date.now()) : 'no series'}
      </span>
    ),
  },
]

function Tags() {
  const { data, error, refetch } = useQuery(getUsageByTagOptions())
  return (
    <Card>
      {error && !data ? (
        <Failure message={messageOf(error)} onRetry={() => void refetch()} />
      ) : !data ? (
        <Skeleton className="m-4 h-40" />
      ) : data.data.length === 0 ? (
        <Empty title="No series have tags" />
      ) : (
        <UsageTable label="Tags" rows={data.data} id={({ key }) => key} columns={TAG_COLUMNS} />
      )}
    </Card>
  )
}

const TAG_COLUMNS = [
  { title: 'Tag', cell: ({ key }: TagUsage) => <span className="font-medium">{key}</span> },
  { title: 'Values', number: true, cell: (row: TagUsage) => count(row.valueCount) },
  { title: 'Series', number: true, cell: (row: TagUsage) => count(row.seriesCount) },
  {
    title: 'Most used',
    cell: ({ values }: TagUsage) => (
      <ul className="flex flex-wrap gap-1.5">
        {values.slice(0, 5).map(({ value, seriesCount }) => (
          <li key={value} className="rounded bg-raised px-2 py-0.5 text-xs break-all">
            {value} <span className="text-muted">{count(seriesCount)}</span>
          </li>
        ))}
      </ul>
    ),
  },
]

function Keys({ overview }: { overview: UsageOverview }) {
  const { perKey, newPerMinute } = overview.limits
  return (
    <Card>
      <UsageTable
        label="API keys"
        rows={overview.keys}
        id={({ id, name }) => id ?? name}
        columns={[
          {
            title: 'Key',
            cell: (row: KeyUsage) => (
              <>
                <span className="font-medium">{row.name}</span>
                {row.revoked && <span className="ml-2 text-xs text-muted">revoked</span>}
              </>
            ),
          },
          { title: 'Series', number: true, cell: (row) => count(row.seriesCount) },
          {
            title: 'Limit',
            cell: (row) =>
              row.id && <LimitBar value={row.seriesCount} limit={perKey} of="series per key" />,
          },
          {
            title: 'New per minute',
            cell: (row) =>
              row.id && (
                <LimitBar
                  value={row.newLastMinute}
                  limit={newPerMinute}
                  of="new series per key and minute"
                />
              ),
          },
          { title: 'New (24 h)', number: true, cell: (row) => count(row.newLastDay) },
          { title: 'Samples', number: true, cell: (row) => rate(row.samplesPerSecond) },
          { title: 'Monthly cost', number: true, cell: (row) => dollars(row.monthlyDollars) },
        ]}
      />
    </Card>
  )
}
