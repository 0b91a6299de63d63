import clsx from 'clsx'
import type { ComponentProps, ReactNode } from 'react'

type ButtonProps = ComponentProps<'button'> & { look?: 'primary' | 'plain' | 'ghost' | 'danger' }

const LOOKS = {
  primary: 'bg-accent text-accent-text border-transparent hover:opacity-90',
  plain: 'bg-surface border-line hover:bg-raised',
  ghost: 'border-transparent bg-transparent hover:bg-raised',
  danger: 'bg-surface border-line text-danger hover:bg-raised',
}

export function Button({ look = 'plain', className, type = 'button', ...rest }: ButtonProps) {
  return (
    <button
      type={type}
      className={clsx(
        'inline-flex h-9 items-center justify-center gap-2 rounded-md border px-3 text-sm font-medium whitespace-nowrap transition-colors disabled:opacity-50',
        LOOKS[look],
        className,
      )}
      {...rest}
    />
  )
}

export const FIELD =
  'h-9 w-full rounded-md border border-line bg-surface px-3 text-sm placeholder:text-muted aria-invalid:border-danger'

type Labelled = { label: string; hint?: string; problem?: string | undefined }

function Under({ hint, problem }: Omit<Labelled, 'label'>) {
  if (problem) return <span className="mt-1 block text-xs text-danger">{problem}</span>
  return hint ? <span className="mt-1 block text-xs text-muted">{hint}</span> : null
}

/** An input under its label. `problem` says what is wrong with its value. */
export function Field({
  label,
  hint,
  problem,
  className,
  ...rest
}: ComponentProps<'input'> & Labelled) {
  return (
    <label className="block min-w-0">
      <span className="mb-1 block text-sm font-medium">{label}</span>
      <input
        className={clsx(FIELD, className)}
        aria-invalid={problem ? true : undefined}
        {...rest}
      />
      <Under hint={hint} problem={problem} />
    </label>
  )
}

export function Area({ label, hint, problem, ...rest }: ComponentProps<'textarea'> & Labelled) {
  return (
    <label className="block min-w-0">
      <span className="mb-1 block text-sm font-medium">{label}</span>
      <textarea
        className={clsx(FIELD, 'h-auto min-h-20 py-2')}
        aria-invalid={problem ? true : undefined}
        {...rest}
      />
      <Under hint={hint} problem={problem} />
    </label>
  )
}

/** A select under its label. */
export function Choice({ label, hint, problem, ...rest }: ComponentProps<'select'> & Labelled) {
  return (
    <label className="block min-w-0">
      <span className="mb-1 block text-sm font-medium">{label}</span>
      <select
        className={clsx(FIELD, '!px-2')}
        aria-invalid={problem ? true : undefined}
        {...rest}
      />
      <Under hint={hint} problem={problem} />
    </label>
  )
}

export function Check({ label, hint, ...rest }: ComponentProps<'input'> & Labelled) {
  return (
    <label className="flex items-start gap-2 text-sm">
      <input type="checkbox" className="mt-0.5 size-4 accent-(--accent)" {...rest} />
      <span>
        {label}
        {hint && <span className="block text-xs text-muted">{hint}</span>}
      </span>
    </label>
  )
}

export function Select({
  label,
  className,
  ...rest
}: ComponentProps<'select'> & { label: string }) {
  return (
    <select
      aria-label={label}
      className={clsx('h-9 rounded-md border border-line bg-surface px-2 text-sm', className)}
      {...rest}
    />
  )
}

export function Card({ className, ...rest }: ComponentProps<'section'>) {
  return (
    <section
      className={clsx('rounded-lg border border-line bg-surface shadow-(--shadow)', className)}
      {...rest}
    />
  )
}

export function Page({
  title,
  actions,
  children,
}: {
  title: string
  actions?: ReactNode
  children: ReactNode
}) {
  return (
    <>
      <title>{`${title} · Pulseboard`}</title>
      <div className="mb-4 flex flex-wrap items-center gap-3">
        <h1 className="mr-auto text-xl font-semibold tracking-tight">{title}</h1>
        {actions}
      </div>
      {children}
    </>
  )
}

export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="px-6 py-14 text-center">
      <p className="font-medium">{title}</p>
      {children && <div className="mx-auto mt-1 max-w-md text-muted">{children}</div>}
    </div>
  )
}

export function Failure({ message, onRetry }: { message: string; onRetry: () => void }) {
  return (
    <div
      role="alert"
      className="flex h-full flex-col items-center justify-center gap-3 p-6 text-center"
    >
      <p className="max-w-md text-sm text-danger">{message}</p>
      <Button onClick={onRetry}>Retry</Button>
    </div>
  )
}

export function Skeleton({ className }: { className?: string }) {
  return <div className={clsx('animate-pulse rounded-md bg-raised', className)} />
}
