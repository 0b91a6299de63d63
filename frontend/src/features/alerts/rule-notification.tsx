import { useQuery } from '@tanstack/react-query'
import { getAlertChannelsOptions } from '@/api/generated/@tanstack/react-query.gen'
import { Area, Card, Check, Field } from '@/components/ui/controls'
import type { RuleDraft } from './rule-draft'

type Props = {
  draft: RuleDraft
  fieldErrors: Record<string, string>
  change: (part: Partial<RuleDraft>) => void
  /** Names in message and labels that no series of the query has. */
  unknown: string[]
}

/** The part of the editor for notifications: channels, timing and message. */
export function RuleNotification({ draft, fieldErrors, change, unknown }: Props) {
  const channels = useQuery(getAlertChannelsOptions())
  return (
    <Card className="space-y-4 p-4">
      <fieldset>
        <legend className="mb-1 text-sm font-medium">Notify</legend>
        {channels.data?.data.length === 0 && (
          <p className="text-sm text-muted">
            There are no channels yet. Create one on the Channels tab of Alerts.
          </p>
        )}
        {channels.data?.data.map(({ id, name }) => (
          <div key={id} className="py-1">
            <Check
              label={name}
              checked={draft.saved.includes(id)}
              onChange={(event) =>
                change({
                  saved: event.target.checked
                    ? [...draft.saved, id]
                    : draft.saved.filter((other) => other !== id),
                })
              }
            />
          </div>
        ))}
      </fieldset>
      <div className="grid grid-cols-3 gap-2">
        <Field
          label="Group wait"
          placeholder="10s"
          hint="Wait before the first."
          value={draft.groupWait}
          error={fieldErrors['notification.groupWait']}
          onChange={(event) => change({ groupWait: event.target.value })}
        />
        <Field
          label="Group interval"
          placeholder="1m"
          hint="Wait between groups."
          value={draft.groupInterval}
          error={fieldErrors['notification.groupInterval']}
          onChange={(event) => change({ groupInterval: event.target.value })}
        />
        <Field
          label="Repeat every"
          placeholder="4h"
          hint="While it is firing."
          value={draft.repeatInterval}
          error={fieldErrors['notification.repeatInterval']}
          onChange={(event) => change({ repeatInterval: event.target.value })}
        />
      </div>
      <Area
        label="Message"
        rows={3}
        maxLength={4000}
        placeholder={'{{host}} is at {{value}}, the limit is {{threshold}}.'}
        error={fieldErrors.message}
        value={draft.message}
        onChange={(event) => change({ message: event.target.value })}
      />
      {unknown.length > 0 && (
        <p role="status" className="text-sm text-warn">
          {unknown.map((name) => `{{${name}}}`).join(', ')}{' '}
          {unknown.length === 1 ? 'is no tag' : 'are no tags'} of this query and will be empty.
        </p>
      )}
      <Field
        label="Runbook"
        type="url"
        placeholder="https://wiki.example.com/high-cpu"
        hint="A link to instructions, included in each notification."
        value={draft.runbookUrl}
        error={fieldErrors.runbookUrl}
        onChange={(event) => change({ runbookUrl: event.target.value })}
      />
      <Area
        label="Labels"
        rows={2}
        placeholder="team=ops"
        hint="One key=value per line. Silences match on labels."
        error={fieldErrors.labels}
        value={draft.labels}
        onChange={(event) => change({ labels: event.target.value })}
      />
      <Check
        label="Enabled"
        checked={draft.enabled}
        onChange={(event) => change({ enabled: event.target.checked })}
      />
    </Card>
  )
}
