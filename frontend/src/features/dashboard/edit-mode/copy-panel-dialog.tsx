import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { toast } from 'sonner'
import { copyPanel } from '@/api/generated/sdk.gen'
import type { DashboardSummary, Panel } from '@/api/generated/types.gen'
import { toastAction } from '@/lib/toast-action'
import { ChooseDashboard } from './choose-dashboard'
import { boardKey } from './use-draft'

type Props = { panel: Panel; before: (() => Promise<unknown>) | undefined; onClose: () => void }

export function CopyPanelDialog({ panel, before, onClose }: Props) {
  const navigate = useNavigate()
  const cache = useQueryClient()
  const copy = useMutation({
    mutationFn: async (target: DashboardSummary) => {
      await before?.()
      await copyPanel({
        path: { dashboard_id: panel.dashboardId, panel_id: panel.id },
        body: { dashboardId: target.id },
        throwOnError: true,
      })
      return target
    },
    onSuccess: (target) => {
      void cache.invalidateQueries({ queryKey: boardKey(target.id) })
      onClose()
      toast.success(`${panel.title} copied to ${target.name}`, {
        ...toastAction(
          'Open',
          () => void navigate({ to: '/dashboards/$id', params: { id: target.id } }),
        ),
      })
    },
  })
  return (
    <ChooseDashboard
      title={`Copy ${panel.title} to`}
      except={panel.dashboardId}
      busy={copy.isPending}
      onChoose={(board) => copy.mutate(board)}
      onClose={onClose}
    />
  )
}
