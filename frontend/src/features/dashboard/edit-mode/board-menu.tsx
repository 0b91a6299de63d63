import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import {
  CopyPlus,
  Download,
  Ellipsis,
  FileInput,
  History,
  Pencil,
  Settings,
  Share2,
  Trash2,
} from 'lucide-react'
import { lazy, Suspense, useState } from 'react'
import { toast } from 'sonner'
import { getDashboardsQueryKey } from '@/api/generated/@tanstack/react-query.gen'
import {
  deleteDashboard,
  duplicateDashboard,
  exportDashboard,
  exportDashboardToGrafana,
} from '@/api/generated/sdk.gen'
import type { Dashboard } from '@/api/generated/types.gen'
import { ErrorBoundary } from '@/components/error-boundary'
import { Button } from '@/components/ui/controls'
import { Dialog } from '@/components/ui/dialog'
import { Menu, MenuItem, MenuLine } from '@/components/ui/menu'
import { download } from '@/lib/download'
import { boardKey, type Editing } from './use-draft'

const HistoryDialog = lazy(() =>
  import('./history-dialog').then(({ HistoryDialog }) => ({ default: HistoryDialog })),
)
const ImportReportDialog = lazy(() =>
  import('./import-report-dialog').then((module) => ({ default: module.ImportReportDialog })),
)
const SettingsDialog = lazy(() =>
  import('./settings-dialog').then(({ SettingsDialog }) => ({ default: SettingsDialog })),
)

type Props = { board: Dashboard; editing: Editing | undefined; onEdit: () => void }

/** The actions on a whole dashboard. */
export function BoardMenu({ board, editing, onEdit }: Props) {
  const [open, setOpen] = useState<'settings' | 'history' | 'import' | 'delete'>()
  const navigate = useNavigate()
  const cache = useQueryClient()
  const path = { dashboard_id: board.id }
  const lists = () => void cache.invalidateQueries({ queryKey: [{ _id: 'getDashboards' }] })
  const duplicate = useMutation({
    mutationFn: async () => {
      await editing?.saver.flush()
      return (await duplicateDashboard({ path, body: {}, throwOnError: true })).data.data
    },
    onSuccess: async (copy) => {
      lists()
      await navigate({ to: '/dashboards/$id', params: { id: copy.id } })
      toast.success(`Created the copy ${copy.name}`)
    },
  })
  const save = useMutation({
    mutationFn: async (format: 'own' | 'grafana') => {
      await editing?.saver.flush()
      const call = format === 'own' ? exportDashboard : exportDashboardToGrafana
      return (await call({ path, throwOnError: true })).data.data
    },
    onSuccess: (file, format) =>
      download(
        `${fileName(board.name)}${format === 'own' ? '' : '-grafana'}.json`,
        `${JSON.stringify(file, null, 2)}\n`,
      ),
  })
  const remove = useMutation({
    mutationFn: () => deleteDashboard({ path, throwOnError: true }),
    onSuccess: async () => {
      cache.removeQueries({ queryKey: getDashboardsQueryKey() })
      lists()
      await navigate({ to: '/' })
      cache.removeQueries({ queryKey: boardKey(board.id) })
      toast.success(`${board.name} deleted`)
    },
  })
  const close = () => setOpen(undefined)
  return (
    <>
      {board.canEdit && (
        <Button onClick={onEdit}>
          <Pencil size={15} aria-hidden="true" /> <span className="max-sm:sr-only">Edit</span>
        </Button>
      )}
      <Menu
        trigger={
          <Button className="w-9 !px-0" aria-label="Dashboard menu" title="Dashboard menu">
            <Ellipsis size={16} aria-hidden="true" />
          </Button>
        }
      >
        {board.canEdit && (
          <MenuItem onSelect={() => setOpen('settings')}>
            <Settings size={15} aria-hidden="true" /> Settings
          </MenuItem>
        )}
        <MenuItem onSelect={() => setOpen('history')}>
          <History size={15} aria-hidden="true" /> History
        </MenuItem>
        {isImported(board) && (
          <MenuItem onSelect={() => setOpen('import')}>
            <FileInput size={15} aria-hidden="true" /> Import report
          </MenuItem>
        )}
        <MenuItem onSelect={() => duplicate.mutate()}>
          <CopyPlus size={15} aria-hidden="true" /> Duplicate
        </MenuItem>
        <MenuItem onSelect={() => save.mutate('own')}>
          <Download size={15} aria-hidden="true" /> Export as JSON
        </MenuItem>
        <MenuItem onSelect={() => save.mutate('grafana')}>
          <Download size={15} aria-hidden="true" /> Export for Grafana
        </MenuItem>
        <MenuItem
          onSelect={() => {
            void navigator.clipboard
              .writeText(window.location.href)
              .then(() =>
                toast.success(
                  board.isPublic
                    ? 'Link copied'
                    : 'Link copied. The dashboard is private: to share it, make it public in its settings.',
                ),
              )
          }}
        >
          <Share2 size={15} aria-hidden="true" /> Copy link
        </MenuItem>
        {board.canEdit && (
          <>
            <MenuLine />
            <MenuItem danger onSelect={() => setOpen('delete')}>
              <Trash2 size={15} aria-hidden="true" /> Delete
            </MenuItem>
          </>
        )}
      </Menu>
      <ErrorBoundary shown={open}>
        <Suspense>
          {open === 'settings' && (
            <SettingsDialog board={board} editing={editing} onClose={close} />
          )}
          {open === 'import' && <ImportReportDialog board={board} onClose={close} />}
          {open === 'history' && <HistoryDialog board={board} editing={editing} onClose={close} />}
        </Suspense>
      </ErrorBoundary>
      {open === 'delete' && (
        <Dialog title={`Delete ${board.name}?`} onClose={close}>
          <p className="text-muted">
            This deletes the dashboard with its panels and its history. Its metrics are kept.
          </p>
          <div className="mt-5 flex justify-end gap-2">
            <Button onClick={close}>Cancel</Button>
            <Button variant="danger" disabled={remove.isPending} onClick={() => remove.mutate()}>
              Delete permanently
            </Button>
          </div>
        </Dialog>
      )}
    </>
  )
}

/** Whether a dashboard comes from a file of another product. */
const isImported = ({ panels }: Pick<Dashboard, 'panels'>) =>
  panels.some(({ options }) => typeof options.sourceId === 'number' || options.source)

const fileName = (name: string) =>
  name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '') || 'dashboard'
