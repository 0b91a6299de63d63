import { Plus, Upload } from 'lucide-react'
import { lazy, Suspense, useState } from 'react'
import { Button } from '@/components/ui/controls'

const CreateDashboardDialog = lazy(() =>
  import('./create-dashboard-dialog').then(({ CreateDashboardDialog }) => ({
    default: CreateDashboardDialog,
  })),
)
const ImportDashboardDialog = lazy(() =>
  import('./import-dashboard-dialog').then(({ ImportDashboardDialog }) => ({
    default: ImportDashboardDialog,
  })),
)

/** Buttons that create a dashboard, empty or from a file. */
export function NewDashboard() {
  const [open, setOpen] = useState<'new' | 'import'>()
  const close = () => setOpen(undefined)
  return (
    <>
      <Button onClick={() => setOpen('import')}>
        <Upload size={16} aria-hidden="true" /> Import
      </Button>
      <Button variant="primary" onClick={() => setOpen('new')}>
        <Plus size={16} aria-hidden="true" /> New dashboard
      </Button>
      <Suspense>
        {open === 'new' && <CreateDashboardDialog onClose={close} />}
        {open === 'import' && <ImportDashboardDialog onClose={close} />}
      </Suspense>
    </>
  )
}
