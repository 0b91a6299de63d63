import { getRouteApi } from '@tanstack/react-router'
import { DashboardView } from '@/features/dashboard/dashboard-view'

const route = getRouteApi('/app/dashboards/$id')

export function DashboardPage() {
  const { id } = route.useParams()
  const search = route.useSearch()
  const navigate = route.useNavigate()
  return (
    <DashboardView
      key={id}
      id={id}
      search={search}
      onSearch={(change) => void navigate({ search: change })}
    />
  )
}
