import { Link } from '@tanstack/react-router'
import { Plus } from 'lucide-react'

/** A link to the Add data page, for views without data. */
export function AddData() {
  return (
    <div className="text-sm">
      <p className="mb-3 text-muted">
        Connect Prometheus, OpenTelemetry, Telegraf, a script or the host agent, and watch the first
        sample arrive.
      </p>
      <Link
        to="/add-data"
        className="inline-flex h-9 items-center gap-2 rounded-md bg-accent px-3 font-medium text-accent-text hover:opacity-90"
      >
        <Plus size={16} aria-hidden="true" /> Add data
      </Link>
    </div>
  )
}
