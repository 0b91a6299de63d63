import clsx from 'clsx'
import { type ComponentProps, type ReactNode, useId } from 'react'

type ButtonProps = ComponentProps<'button'> & { variant?: 'primary' | 'plain' | 'ghost' | 'danger' }

const VARIANTS = {
  primary: 'bg-accent text-accent-text border-transparent hover:opacity-90',
  plain: 'bg-surface border-line hover:bg-raised',
  ghost: 'border-transparent bg-transparent hover:bg-raised',
  danger: 'bg-surface border-line text-danger hover:bg-raised',
}

export function Button({ variant = 'plain', className, type = 'button', ...rest }: ButtonProps) {
  return (
    <button
      type={type}
      className={clsx(
        'inline-flex h-9 items-center justify-center gap-2 rounded-md border px-3 text-sm font-medium whitespace-nowrap transition-colors disabled:opacity-50',
        VARIANTS[variant],
        className,
      )}
      {...rest}
    />
  )
}

export const FIELD =
  'h-9 w-full rounded-md border border-line bg-surface px-3 text-sm placeholder:text-muted aria-invalid:border-danger'

type Labelled = { label: string; hint?: string; error?: string | undefined }

/** A label above its control, with the hint or the error below. */
function Labelling({
  label,
  hint,
  error,
  children,
}: Labelled & { children: (control: ComponentProps<'input'>) => ReactNode }) {
  const id = useId()
  const under = error ?? hint
  return (
    <div className="min-w-0">
      <label htmlFor={id} className="mb-1 block text-sm font-medium">
        {label}
      </label>
      {children({
        id,
        'aria-invalid': error ? true : undefined,
        'aria-describedby': under ? `${id}-under` : undefined,
      })}
      {under && (
        <p
          id={`${id}-under`}
          className={clsx('mt-1 text-xs', error ? 'text-danger' : 'text-muted')}
        >
          {under}
        </p>
      )}
    </div>
  )
}

/** An input under its label. `error` says what is wrong with its value. */
export function Field({
  label,
  hint,
  error,
  className,
  ...rest
}: ComponentProps<'input'> & Labelled) {
  return (
    <Labelling label={label} hint={hint} error={error}>
      {(control) => <input className={clsx(FIELD, className)} {...control} {...rest} />}
    </Labelling>
  )
}

export function Area({
  label,
  hint,
  error,
  className,
  ...rest
}: ComponentProps<'textarea'> & Labelled) {
  return (
    <Labelling label={label} hint={hint} error={error}>
      {({ id, 'aria-invalid': invalid, 'aria-describedby': by }) => (
        <textarea
          id={id}
          aria-invalid={invalid}
          aria-describedby={by}
          className={clsx(FIELD, '!h-auto min-h-20 py-2', className)}
          {...rest}
        />
      )}
    </Labelling>
  )
}

/** A select under its label. */
export function Choice({ label, hint, error, ...rest }: ComponentProps<'select'> & Labelled) {
  return (
    <Labelling label={label} hint={hint} error={error}>
      {({ id, 'aria-invalid': invalid, 'aria-describedby': by }) => (
        <select
          id={id}
          aria-invalid={invalid}
          aria-describedby={by}
          className={clsx(FIELD, '!px-2')}
          {...rest}
        />
      )}
    </Labelling>
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
  mark,
  actions,
  children,
}: {
  title: string
  /** Shown beside the title. */
  mark?: ReactNode
  actions?: ReactNode
  children: ReactNode
}) {
  return (
    <>
      <title>{`${title} · Pulseboard`}</title>
      <div className="mb-4 flex flex-wrap items-center gap-3">
        <div className="mr-auto flex min-w-0 items-center gap-1">
          <h1 className="truncate text-xl font-semibold tracking-tight">{title}</h1>
          {mark}
        </div>
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
