import type { AlertPreview } from '@/api/generated/types.gen'
import { Card } from '@/components/ui/controls'
import { formatTags } from './labels'

const dateTime = new Intl.DateTimeFormat(undefined, { dateStyle: 'short', timeStyle: 'medium' })

/** When a rule would have fired and resolved. */
export function BacktestResult({ preview }: { preview: AlertPreview }) {
  const shown = preview.changes.filter(({ status }) => status === 'firing' || status === 'resolved')
  return (
    <Card className="p-4" aria-label="Backtest" aria-live="polite">
      <h2 className="font-medium">
        {preview.fired === 0
          ? 'It would not have fired.'
          : `It would have fired ${preview.fired === 1 ? 'once' : `${preview.fired} times`}.`}
      </h2>
      <p className="text-xs text-muted">
        {preview.series} series, {preview.ticks.toLocaleString('en-US')} evaluations, 10 s apart, in{' '}
        {Math.round(preview.durationMs)} ms. {preview.notes.join(' ')}
      </p>
      <ul className="mt-2 max-h-72 space-y-1 overflow-y-auto text-sm">
        {shown.map((change) => (
          <li key={`${change.at}${formatTags(change.tags)}${change.status}`} className="flex gap-3">
            <span
              className={`w-20 shrink-0 font-medium ${change.status === 'firing' ? 'text-danger' : 'text-ok'}`}
            >
              {change.status === 'firing' ? '▲ fires' : '▼ resolves'}
            </span>
            <time dateTime={change.at} className="shrink-0 tabular-nums">
              {dateTime.format(new Date(change.at))}
            </time>
            <span className="min-w-0 break-words text-muted">
              {formatTags(change.tags)} {change.reason}
            </span>
          </li>
        ))}
      </ul>
    </Card>
  )
}
