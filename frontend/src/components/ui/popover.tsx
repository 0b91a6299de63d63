import clsx from 'clsx'
import { Popover as Radix } from 'radix-ui'
import type { ComponentProps, ReactNode } from 'react'

/** A panel beside its button; Escape or a click elsewhere closes it. */
export function Popover({
  trigger,
  label,
  open,
  onOpenChange,
  className,
  children,
  ...content
}: {
  trigger: ReactNode
  label: string
  open?: boolean
  onOpenChange?: (open: boolean) => void
} & ComponentProps<typeof Radix.Content>) {
  return (
    <Radix.Root open={open} onOpenChange={onOpenChange}>
      <Radix.Trigger asChild>{trigger}</Radix.Trigger>
      <Radix.Portal>
        <Radix.Content
          aria-label={label}
          align="end"
          sideOffset={6}
          collisionPadding={8}
          className={clsx(
            'z-50 max-w-[calc(100vw-1rem)] rounded-lg border border-line bg-surface p-3 text-sm text-text shadow-xl',
            className,
          )}
          {...content}
        >
          {children}
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  )
}
