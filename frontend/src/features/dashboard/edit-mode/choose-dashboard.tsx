import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { LayoutDashboard } from 'lucide-react'
import { useState } from 'react'
import { getDashboardsOptions, getMeOptions } from '@/api/generated/@tanstack/react-query.gen'
import type { DashboardSummary } from '@/api/generated/types.gen'
import { Field } from '@/components/ui/controls'
import { Dialog } from '@/components/ui/dialog'

type Props = {
  title: string
  /** A dashboard that is not offered. */
  except?: string
  busy: boolean
  onChoose: (board: DashboardSummary) => void
  onClose: () => void
}

/** Lets the user choose one of the dashboards that they may edit. */
export function ChooseDashboard({ title, except, busy, onChoose, onClose }: Props) {
  const [search, setSearch] = useState('')
  const { data: me } = useQuery(getMeOptions())
  const { data } = useQuery({
    ...getDashboardsOptions({ query: { search, pageSize: 50 } }),
    placeholderData: keepPreviousData,
  })
  const targets = data?.data.filter(
    (board) => board.id !== except && (board.ownerId === me?.data.id || me?.data.role === 'admin'),
  )
  return (
    <Dialog title={title} onClose={onClose}>
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
              disabled={busy}
              onClick={() => onChoose(board)}
              className="flex w-full items-center gap-2 rounded px-2 py-2 text-left hover:bg-raised"
            >
              <LayoutDashboard size={16} className="text-accent" aria-hidden="true" />
              {board.name}
            </button>
          </li>
        ))}
        {targets?.length === 0 && (
          <li className="px-2 py-4 text-muted">No dashboard has this name.</li>
        )}
      </ul>
    </Dialog>
  )
}
