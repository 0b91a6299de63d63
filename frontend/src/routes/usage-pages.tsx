import { getRouteApi } from '@tanstack/react-router'
import { MetricUsagePage as Metric } from '@/features/usage/metric-usage-page'
import { UsagePage as Usage } from '@/features/usage/usage-page'

const all = getRouteApi('/app/usage')
const one = getRouteApi('/app/usage/$name')

export function UsagePage() {
  const search = all.useSearch()
  const navigate = all.useNavigate()
  return <Usage search={search} onSearch={(search) => void navigate({ search, replace: true })} />
}

export function MetricUsagePage() {
  const { name } = one.useParams()
  const search = one.useSearch()
  const navigate = one.useNavigate()
  return (
    <Metric
      key={name}
      name={name}
      search={search}
      onSearch={(search) => void navigate({ search, replace: true })}
      onGone={() => navigate({ to: '/usage' })}
    />
  )
}
