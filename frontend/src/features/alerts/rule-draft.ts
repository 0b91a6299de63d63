import type { AlertRule, CreateAlertRule } from '@/api/generated/types.gen'
import { readLabels, writeLabels } from './labels'

/** A rule while it is being edited: numbers and labels are still text. */
export type RuleDraft = Required<
  Pick<
    CreateAlertRule,
    | 'name'
    | 'query'
    | 'condition'
    | 'reducer'
    | 'severity'
    | 'noData'
    | 'duration'
    | 'keepFiringFor'
    | 'evaluationDelay'
    | 'message'
    | 'runbookUrl'
    | 'enabled'
  >
> & {
  threshold: string
  window: string
  labels: string
  groupWait: string
  groupInterval: string
  repeatInterval: string
  /** Ids of channels. */
  saved: string[]
}

export const EMPTY_DRAFT: RuleDraft = {
  name: '',
  query: '',
  condition: 'gt',
  threshold: '',
  duration: '1m',
  window: '',
  reducer: 'last',
  severity: 'warning',
  enabled: true,
  noData: 'keep_state',
  keepFiringFor: '0s',
  evaluationDelay: '0s',
  labels: '',
  message: '',
  runbookUrl: '',
  groupWait: '',
  groupInterval: '',
  repeatInterval: '4h',
  saved: [],
}

export function draftOf(rule: AlertRule): RuleDraft {
  const saved = rule.notification.channels.flatMap((channel) =>
    channel.type === 'saved' && channel.id ? [channel.id] : [],
  )
  return {
    ...rule,
    threshold: rule.threshold == null ? '' : String(rule.threshold),
    window: rule.window ?? '',
    labels: writeLabels(rule.labels),
    groupWait: rule.notification.groupWait ?? '',
    groupInterval: rule.notification.groupInterval ?? '',
    repeatInterval: rule.notification.repeatInterval,
    saved,
  }
}

/** Whether a rule fires for each series that its query returns: it compares nothing. */
export const isReturned = ({ condition }: Pick<RuleDraft, 'condition'>) => condition === 'returned'

function thresholdOf(draft: RuleDraft): number | null {
  if (isReturned(draft)) return null
  return draft.threshold.trim() === '' ? Number.NaN : Number(draft.threshold)
}

/** The request body. The threshold is NaN when it is not a number. */
export function bodyOf(draft: RuleDraft): CreateAlertRule {
  const returned = isReturned(draft)
  return {
    name: draft.name.trim(),
    query: draft.query.trim(),
    condition: draft.condition,
    threshold: thresholdOf(draft),
    duration: draft.duration.trim() || '0s',
    window: returned ? null : draft.window.trim() || null,
    reducer: returned ? 'last' : draft.reducer,
    severity: draft.severity,
    enabled: draft.enabled,
    noData: returned ? 'ok' : draft.noData,
    keepFiringFor: draft.keepFiringFor.trim() || '0s',
    evaluationDelay: draft.evaluationDelay.trim() || '0s',
    labels: readLabels(draft.labels).labels,
    message: draft.message,
    runbookUrl: draft.runbookUrl.trim(),
    notification: {
      channels: draft.saved.map((id) => ({ type: 'saved' as const, id })),
      groupWait: draft.groupWait.trim() || null,
      groupInterval: draft.groupInterval.trim() || null,
      repeatInterval: draft.repeatInterval.trim() || '4h',
    },
  }
}
