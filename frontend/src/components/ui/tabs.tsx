import { Tabs as Radix } from 'radix-ui'
import type { ReactNode } from 'react'

export type Tab = { value: string; label: ReactNode; content: ReactNode }

/** Tabs with their contents. The arrow keys move between tabs. */
export function Tabs({
  label,
  tabs,
  initial,
  shown,
  onShow,
}: {
  label: string
  tabs: Tab[]
  initial?: string
  /** The selected tab, when the parent controls it with `onShow`. */
  shown?: string
  onShow?: (value: string) => void
}) {
  const held = shown === undefined ? { defaultValue: initial ?? tabs[0]?.value } : { value: shown }
  return (
    <Radix.Root {...held} {...(onShow && { onValueChange: onShow })}>
      <Radix.List aria-label={label} className="mb-4 flex gap-1 border-b border-line max-sm:gap-0">
        {tabs.map((tab) => (
          <Radix.Trigger
            key={tab.value}
            value={tab.value}
            className="-mb-px border-b-2 border-transparent px-3 py-2 text-sm font-medium text-muted max-sm:px-2 max-sm:text-[13px] hover:text-text data-[state=active]:border-accent data-[state=active]:text-text"
          >
            {tab.label}
          </Radix.Trigger>
        ))}
      </Radix.List>
      {tabs.map((tab) => (
        <Radix.Content key={tab.value} value={tab.value} tabIndex={-1} className="outline-none">
          {tab.content}
        </Radix.Content>
      ))}
    </Radix.Root>
  )
}
