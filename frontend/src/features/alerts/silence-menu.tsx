import { useMutation, useQueryClient } from '@tanstack/react-query'
import { BellOff } from 'lucide-react'
import { toast } from 'sonner'
import { createAlertSilenceMutation } from '@/api/generated/@tanstack/react-query.gen'
import { Button } from '@/components/ui/controls'
import { Menu, MenuItem } from '@/components/ui/menu'
import { formatTags, SILENCE_DURATIONS } from './labels'
import { refreshAlerts } from './refresh-alerts'

type Props = { rule: string; tags: Record<string, string>; labels: Record<string, string> }

/** Silences this one alert for a while: by all of its labels. */
export function SilenceMenu({ rule, tags, labels }: Props) {
  const cache = useQueryClient()
  const silence = useMutation({
    ...createAlertSilenceMutation(),
    onSuccess: () => {
      toast.success('Silenced. You can end the silence on the Silences tab.')
      return refreshAlerts(cache)
    },
  })
  const silenceFor = (hours: number) =>
    silence.mutate({
      body: {
        matchers: Object.entries(labels).map(([label, value]) => ({
          label,
          operator: '=',
          value,
        })),
        endsAt: new Date(Date.now() + hours * 3_600_000).toISOString(),
      },
    })
  const what = [rule, formatTags(tags)].filter(Boolean).join(' ')
  return (
    <Menu
      trigger={
        <Button aria-label={`Silence ${what}`} disabled={silence.isPending}>
          <BellOff size={15} aria-hidden="true" /> <span className="max-sm:hidden">Silence</span>
        </Button>
      }
    >
      {SILENCE_DURATIONS.map(({ hours, text }) => (
        <MenuItem key={hours} onSelect={() => silenceFor(hours)}>
          for {text}
        </MenuItem>
      ))}
    </Menu>
  )
}
