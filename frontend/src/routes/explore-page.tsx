import { getRouteApi } from '@tanstack/react-router'
import { Explore } from '@/features/dashboard/explore/explore'

const route = getRouteApi('/app/explore')

export function ExplorePage() {
  const search = route.useSearch()
  const navigate = route.useNavigate()
  return (
    <Explore
      search={search}
      onSearch={(change, replace) => void navigate({ search: change, replace: replace ?? false })}
    />
  )
}
