import { keepPreviousData, useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { LayoutDashboard } from 'lucide-react'
import { useState } from 'react'
import { toast } from 'sonner'
import { getDashboardsOptions, getMeOptions } from '@/api/generated/@tanstack/react-query.gen'
import { copyPanel } from '@/api/generated/sdk.gen'
import type { DashboardSummary, Panel } from '@/api/generated/types.gen'
import { Field } from '@/components/ui/controls'
import { Dialog } from '@/components/ui/dialog'
import { boardKey } from './use-draft'

type Props = { panel: Panel; before: (() => Promise<unknown>) | undefined; onClose: () => void }

export function CopyPanelDialog({ panel, before, onClose }: Props) {
  const [search, setSearch] = useState('')
  const navigate = useNavigate()
  const cache = useQueryClient()
  const { data: me } = useQuery(getMeOptions())
  const { data } = useQuery({
    ...getDashboardsOptions({ query: { search, pageSize: 50 } }),
    placeholderData: keepPreviousData,
  })
  const targets = data?.data.filter(
    (board) =>
      board.id !== panel.dashboardId &&
      (board.ownerId === me?.data.id || me?.data.role === 'admin'),
  )
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
        action: {
          label: 'Open',
          onClick: () => void navigate({ to: '/dashboards/$id', params: { id: target.id } }),
        },
      })
    },
  })
  return (
    <Dialog title={`Copy ${panel.title} to`} onClose={onClose}>
      <Field
        label="Find a dashboard"
        type="search"
        value={search}
        onChange={(event) => setSearch(event.target.value)}
      />
      <ul className="mt-3 max-h-72 overflow-y-auto">
        {targets?.map((board) => (
          <li key={board.id}>
            <button
              type="button"
              disabled={copy.isPending}
              onClick={() => copy.mutate(board)}
              className="flex w-full items-center gap-2 rounded px-2 py-2 text-left hover:bg-raised"
            >
              <LayoutDashboard size={16} className="text-accent" aria-hidden="true" />
              {board.name}
            </button>
          </li>
        ))}
        {targets?.length === 0 && (
          <li className="px-2 py-4 text-muted">No other dashboard of yours is called so.</li>
        )}
      </ul>
    </Dialog>
  )
}
