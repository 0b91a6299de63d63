import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { Plus } from 'lucide-react'
import { getMeOptions } from '@/api/generated/@tanstack/react-query.gen'
import { Page } from '@/components/ui/controls'
import { Tabs } from '@/components/ui/tabs'
import { AlertHistory } from './alert-history'
import { type AlertsSearch, TABS } from './alerts-search'
import { Channels } from './channels'
import { Deliveries } from './deliveries'
import { RecordingRules } from './recording-rules'
import { RuleList } from './rule-list'
import { Silences } from './silences'

type Props = {
  search: AlertsSearch
  onSearch: (change: AlertsSearch) => void
}

export function AlertsPage({ search, onSearch }: Props) {
  const { data: me } = useQuery(getMeOptions())
  const canEdit = me !== undefined && me.data.role !== 'viewer'
  return (
    <Page
      title="Alerts"
      actions={
        canEdit && (
          <Link
            to="/alerts/new"
            className="inline-flex h-9 items-center gap-2 rounded-md bg-accent px-3 text-sm font-medium text-accent-text hover:opacity-90"
          >
            <Plus size={16} aria-hidden="true" /> New rule
          </Link>
        )
      }
    >
      <div className="[&_[role=tablist]]:flex-wrap">
        <Tabs
          label="Alerts"
          shown={search.tab ?? 'rules'}
          onShow={(shown) => onSearch({ tab: TABS.find((tab) => tab === shown) })}
          tabs={[
            {
              value: 'rules',
              label: 'Rules',
              content: <RuleList canEdit={canEdit} search={search} onSearch={onSearch} />,
            },
            {
              value: 'recording',
              label: 'Recording rules',
              content: <RecordingRules canEdit={canEdit} />,
            },
            { value: 'history', label: 'History', content: <AlertHistory canEdit={canEdit} /> },
            { value: 'silences', label: 'Silences', content: <Silences canEdit={canEdit} /> },
            { value: 'channels', label: 'Channels', content: <Channels canEdit={canEdit} /> },
            {
              value: 'notifications',
              label: 'Notifications',
              content: <Deliveries canEdit={canEdit} />,
            },
          ]}
        />
      </div>
    </Page>
  )
}
