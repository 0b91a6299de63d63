import { Plus, Upload } from 'lucide-react'
import { lazy, Suspense, useState } from 'react'
import { Button } from '@/components/ui/controls'

const CreateDialog = lazy(() => import('./create-dashboard-dialog'))
const ImportDialog = lazy(() => import('./import-dashboard-dialog'))

/** Makes a dashboard, by hand or from a file. */
export function NewDashboard() {
  const [open, setOpen] = useState<'new' | 'import'>()
  const close = () => setOpen(undefined)
  return (
    <>
      <Button onClick={() => setOpen('import')}>
        <Upload size={16} aria-hidden="true" /> Import
      </Button>
      <Button look="primary" onClick={() => setOpen('new')}>
        <Plus size={16} aria-hidden="true" /> New dashboard
      </Button>
      <Suspense>
        {open === 'new' && <CreateDialog onClose={close} />}
        {open === 'import' && <ImportDialog onClose={close} />}
      </Suspense>
    </>
  )
}
