import { getRouteApi } from '@tanstack/react-router'
import { PanelEditor } from '@/features/dashboard/panel-editor/panel-editor'

const route = getRouteApi('/app/dashboards/$id/panels/$panel/edit')

export function PanelEditorPage() {
  const { id, panel } = route.useParams()
  const search = route.useSearch()
  const navigate = route.useNavigate()
  return (
    <PanelEditor
      key={`${id} ${panel}`}
      id={id}
      panelId={panel}
      search={search}
      onSearch={(change) => void navigate({ search: change, ignoreBlocker: true })}
      onLeave={() =>
        void navigate({ to: '/dashboards/$id', params: { id }, search: { ...search, edit: '1' } })
      }
    />
  )
}
