import { getRouteApi } from '@tanstack/react-router'
import { EditRule, RuleEditor } from '@/features/alerts/rule-editor'
import { RulePage } from '@/features/alerts/rule-page'

const one = getRouteApi('/app/alerts/$id')
const edit = getRouteApi('/app/alerts/$id/edit')

export function AlertRulePage() {
  const { id } = one.useParams()
  return <RulePage key={id} id={id} />
}

export function NewAlertRulePage() {
  return <RuleEditor />
}

export function EditAlertRulePage() {
  const { id } = edit.useParams()
  return <EditRule key={id} id={id} />
}
