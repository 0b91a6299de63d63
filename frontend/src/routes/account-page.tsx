import { useQuery } from '@tanstack/react-query'
import { getMeOptions } from '@/api/generated/@tanstack/react-query.gen'
import { Account } from '@/features/account/account'

export function AccountPage() {
  const { data } = useQuery(getMeOptions())
  return data ? <Account email={data.data.email} role={data.data.role} /> : null
}
