import { getRouteApi } from '@tanstack/react-router'
import { AddDataPage as Guide } from '@/features/add-data/add-data-page'

const route = getRouteApi('/app/add-data')

export function AddDataPage() {
  const search = route.useSearch()
  const navigate = route.useNavigate()
  return <Guide search={search} onSearch={(search) => void navigate({ search, replace: true })} />
}
