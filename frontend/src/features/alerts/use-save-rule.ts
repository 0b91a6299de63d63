import { useNavigate } from '@tanstack/react-router'
import { toast } from 'sonner'
import type { AlertRule, CreateAlertRule } from '@/api/generated/types.gen'
import { messageOf } from '@/lib/errors'
import { toastAction } from '@/lib/toast-action'
import { serverErrorsByField } from '@/lib/validation-errors'
import type { RuleDraft } from './rule-draft'
import { useRuleChanges } from './use-rules'

/** A draft that the server rejected, for the editor to continue with. */
export type RefusedRule = { draft: RuleDraft; message: string; fieldErrors: Record<string, string> }

declare module '@tanstack/react-router' {
  interface HistoryState {
    refused?: RefusedRule
  }
}

/**
 * Saves the draft, as a new rule or a change of `rule`, and leaves the editor at once.
 * A rejected draft is reverted and reported, and can be opened in the editor again.
 */
export function useSaveRule(rule?: AlertRule) {
  const navigate = useNavigate()
  const { create, update } = useRuleChanges({ silent: true })
  const refused = (draft: RuleDraft, error: unknown) => {
    const message = messageOf(error)
    const state = { refused: { draft, message, fieldErrors: serverErrorsByField(error) } }
    toast.error(`${draft.name} was not saved. ${message}`, {
      duration: Number.POSITIVE_INFINITY,
      ...toastAction(
        'Back to rule',
        () =>
          void (rule
            ? navigate({ to: '/alerts/$id/edit', params: { id: rule.id }, state })
            : navigate({ to: '/alerts/new', state })),
      ),
    })
  }
  return (draft: RuleDraft, body: CreateAlertRule) => {
    if (rule) {
      const path = { rule_id: rule.id }
      void update
        .mutateAsync({ path, body: { ...body, version: rule.version } })
        .catch((error: unknown) => refused(draft, error))
      void navigate({ to: '/alerts/$id', params: { id: rule.id }, replace: true })
      return
    }
    void create.mutateAsync({ body }).then(
      ({ data }) =>
        toast.success(`${data.name} saved. Evaluation starts at the next tick.`, {
          ...toastAction(
            'Open',
            () => void navigate({ to: '/alerts/$id', params: { id: data.id } }),
          ),
        }),
      (error: unknown) => refused(draft, error),
    )
    // Replaces the editor in the browser history: going back must not show a saved rule.
    void navigate({ to: '/alerts', replace: true })
  }
}
