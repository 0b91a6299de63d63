import { getRouteApi } from '@tanstack/react-router'
import { AlertsPage } from '@/features/alerts/alerts-page'
import { EditRule, NewRule } from '@/features/alerts/rule-editor'
import { RulePage } from '@/features/alerts/rule-page'

const all = getRouteApi('/app/alerts')
const newRule = getRouteApi('/app/alerts/new')
const one = getRouteApi('/app/alerts/$id')
const edit = getRouteApi('/app/alerts/$id/edit')

export function AlertRulePage() {
  const { id } = one.useParams()
  return <RulePage key={id} id={id} />
}

export function AlertRulesPage() {
  const navigate = all.useNavigate()
  return (
    <AlertsPage
      search={all.useSearch()}
      onSearch={(change) =>
        void navigate({ search: (before) => ({ ...before, ...change }), replace: true })
      }
    />
  )
}

export function NewAlertRulePage() {
  const search = newRule.useSearch()
  return <NewRule key={JSON.stringify(search)} {...search} />
}

export function EditAlertRulePage() {
  const { id } = edit.useParams()
  return <EditRule key={id} id={id} />
}
