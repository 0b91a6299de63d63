import { useId } from 'react'
import { colorOf } from '@/charts/palette'
import { Choice, Field } from '@/components/ui/controls'
import { useTypedText } from '@/lib/use-typed-text'

type NumberProps = {
  label: string
  value: number | null | undefined
  placeholder?: string
  error?: string | undefined
  /** Whether an empty field is wrong, and not nothing. */
  required?: boolean
  min?: number
  max?: number
  step?: number | 'any'
  onChange: (value: number | null) => void
}

/**
 * A number or nothing. The text stays as it is typed. A text that is no number, such as `-` or
 * `1e999`, is NaN, which no schema accepts: a browser gives it as an empty text. So is an empty
 * field that needs a number.
 */
export function NumberField({
  value,
  onChange,
  required = false,
  error,
  step = 'any',
  ...rest
}: NumberProps) {
  const read = (text: string) => {
    if (text.trim() === '') return required ? Number.NaN : null
    return Number.isFinite(Number(text)) ? Number(text) : Number.NaN
  }
  const write = (number: number | null) =>
    number === null || Number.isNaN(number) ? '' : String(number)
  const [text, setText] = useTypedText(value ?? null, read, write)
  return (
    <Field
      type="number"
      step={step}
      value={text}
      required={required}
      error={Number.isNaN(value) ? 'Enter a number within ±1e308.' : error}
      // Not on change: React leaves it out between two texts that a browser gives as empty.
      onInput={({ currentTarget }) => {
        setText(currentTarget.value)
        onChange(currentTarget.validity.badInput ? Number.NaN : read(currentTarget.value))
      }}
      {...rest}
    />
  )
}

const NAMES = ['blue', 'orange', 'green', 'pink', 'yellow', 'sky', 'purple', 'grey'] as const

type ColorProps = {
  label: string
  value: string | null | undefined
  /** Whether the choice may be left to the palette. */
  optional?: boolean
  onChange: (value: string | null) => void
}

/** A named colour, which suits both themes, or a custom one. */
export function ColorField({ label, value, optional, onChange }: ColorProps) {
  const own = value?.startsWith('#') ?? false
  const id = useId()
  return (
    <div className="flex items-end gap-2">
      <span
        aria-hidden="true"
        className="mb-1.5 size-6 shrink-0 rounded-full border border-line"
        style={{ background: value ? colorOf(0, value) : 'transparent' }}
      />
      <div className="min-w-0 flex-1">
        <Choice
          label={label}
          value={own ? 'own' : (value ?? '')}
          onChange={(event) => {
            const chosen = event.target.value
            onChange(chosen === 'own' ? '#3b82f6' : chosen || null)
          }}
        >
          {optional && <option value="">Palette</option>}
          {!optional && value === 'red' && <option value="red">red</option>}
          {NAMES.map((name) => (
            <option key={name} value={name}>
              {name}
            </option>
          ))}
          <option value="own">Custom…</option>
        </Choice>
      </div>
      {own && (
        <input
          id={id}
          type="color"
          aria-label={`${label}: custom`}
          className="h-9 w-10 shrink-0 rounded-md border border-line bg-surface p-1"
          value={value ?? '#3b82f6'}
          onChange={(event) => onChange(event.target.value)}
        />
      )}
    </div>
  )
}
