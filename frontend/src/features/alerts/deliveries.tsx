import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { toast } from 'sonner'
import {
  getAlertDeliveriesOptions,
  resendAlertDeliveryMutation,
} from '@/api/generated/@tanstack/react-query.gen'
import { Button, Check, Empty } from '@/components/ui/controls'
import { POLL } from './labels'
import { Loaded, TableHead } from './loaded'
import { refreshAlerts } from './refresh-alerts'

const dateTime = new Intl.DateTimeFormat(undefined, { dateStyle: 'short', timeStyle: 'medium' })
const STATUS_LABELS = { waiting: 'Queued', sent: 'Sent', dead: 'Failed' }

export function Deliveries({ canEdit }: { canEdit: boolean }) {
  const [deadOnly, setDeadOnly] = useState(false)
  const cache = useQueryClient()
  const deliveries = useQuery({
    ...getAlertDeliveriesOptions({
      query: { status: deadOnly ? 'dead' : undefined, pageSize: 100 },
    }),
    refetchInterval: POLL,
    refetchIntervalInBackground: false,
  })
  const resend = useMutation({
    ...resendAlertDeliveryMutation(),
    onSuccess: () => toast.success('It will be sent again within ten seconds.'),
    onSettled: () => refreshAlerts(cache),
  })
  return (
    <>
      <div className="mb-3">
        <Check
          label="Dead letters only"
          hint="Notifications that failed on their last attempt."
          checked={deadOnly}
          onChange={(event) => setDeadOnly(event.target.checked)}
        />
      </div>
      <Loaded of={deliveries}>
        {({ data }) =>
          data.length === 0 ? (
            <Empty title={deadOnly ? 'No dead letters' : 'No notifications yet'} />
          ) : (
            <table className="stacked w-full min-w-[44rem] text-left">
              <TableHead
                names={['Notification', 'Rule', 'Channel', 'Alerts', 'Created', 'Actions']}
              />
              <tbody>
                {data.map((one) => (
                  <tr key={one.id} className="border-t border-line align-top">
                    <td className="line px-4 py-2.5">
                      <span className={one.status === 'dead' ? 'font-medium text-danger' : ''}>
                        {STATUS_LABELS[one.status]}
                      </span>
                      {one.lastError && (
                        <p className="max-w-xs text-xs break-words text-muted">
                          {one.lastError} (attempt {one.attempts})
                        </p>
                      )}
                    </td>
                    <td className="px-4 py-2.5" data-label="Rule">
                      {one.ruleName}
                    </td>
                    <td className="max-w-xs truncate px-4 py-2.5 text-muted" data-label="Channel">
                      {one.channel}
                    </td>
                    <td className="px-4 py-2.5 whitespace-nowrap">
                      {[
                        one.firing ? `${one.firing} firing` : '',
                        one.resolved ? `${one.resolved} resolved` : '',
                      ]
                        .filter(Boolean)
                        .join(', ')}
                    </td>
                    <td className="px-4 py-2.5 whitespace-nowrap text-muted" data-label="Created">
                      {dateTime.format(new Date(one.createdAt))}
                    </td>
                    <td className="px-4 py-2">
                      {canEdit && one.status === 'dead' && (
                        <Button onClick={() => resend.mutate({ path: { delivery_id: one.id } })}>
                          Resend
                        </Button>
                      )}
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          )
        }
      </Loaded>
    </>
  )
}
