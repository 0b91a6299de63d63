import { getRouteApi } from '@tanstack/react-router'
import { DashboardView } from '@/features/dashboard/dashboard-view'
import { MetricView } from '@/features/dashboard/metric-view'

const board = getRouteApi('/app/dashboards/$id')
const metric = getRouteApi('/app/metrics/$name')

export function DashboardPage() {
  const { id } = board.useParams()
  const search = board.useSearch()
  const navigate = board.useNavigate()
  return (
    <DashboardView
      key={id}
      id={id}
      search={search}
      onSearch={(change) => void navigate({ search: change })}
    />
  )
}

export function MetricPage() {
  const { name } = metric.useParams()
  const search = metric.useSearch()
  const navigate = metric.useNavigate()
  return (
    <MetricView
      key={name}
      name={name}
      search={search}
      onSearch={(change) => void navigate({ search: change })}
    />
  )
}
