import { useQuery } from '@tanstack/react-query'
import { getAlertRulesOptions } from '@/api/generated/@tanstack/react-query.gen'

/** The number of firing rules, beside Alerts in the navigation. Empty when no rule fires. */
export function FiringBadge() {
  const { data } = useQuery({
    ...getAlertRulesOptions({ query: { status: 'firing', pageSize: 1 } }),
    refetchInterval: 30_000,
    refetchIntervalInBackground: false,
  })
  const firing = data?.meta?.total ?? 0
  if (firing === 0) return null
  return (
    <span className="rounded-full bg-danger px-1.5 text-xs font-semibold text-surface tabular-nums">
      {firing}
      <span className="sr-only"> firing</span>
    </span>
  )
}
