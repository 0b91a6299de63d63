import clsx from 'clsx'
import { DropdownMenu } from 'radix-ui'
import type { ComponentProps, ReactNode } from 'react'

const SURFACE =
  'z-50 min-w-44 rounded-lg border border-line bg-surface p-1 text-sm text-text shadow-xl max-h-[min(24rem,var(--radix-dropdown-menu-content-available-height))] overflow-y-auto'
const ITEM =
  'flex cursor-pointer items-center gap-2 rounded px-2 py-1.5 outline-none select-none data-[disabled]:cursor-default data-[disabled]:opacity-50 data-[highlighted]:bg-raised data-[state=open]:bg-raised'

/** A button that opens a list of actions. `trigger` is the button. */
export function Menu({
  trigger,
  children,
  ...content
}: { trigger: ReactNode } & ComponentProps<typeof DropdownMenu.Content>) {
  return (
    <DropdownMenu.Root modal={false}>
      <DropdownMenu.Trigger asChild>{trigger}</DropdownMenu.Trigger>
      <DropdownMenu.Portal>
        <DropdownMenu.Content
          align="end"
          sideOffset={4}
          collisionPadding={8}
          className={SURFACE}
          {...content}
        >
          {children}
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  )
}

export function MenuItem({
  danger,
  className,
  ...rest
}: ComponentProps<typeof DropdownMenu.Item> & { danger?: boolean }) {
  return <DropdownMenu.Item className={clsx(ITEM, danger && 'text-danger', className)} {...rest} />
}

export function MenuLine() {
  return <DropdownMenu.Separator className="my-1 h-px bg-line" />
}
