import type { Calculation } from '@/charts/chart-data'
import { Area, Check, Choice, Field } from '@/components/ui/controls'
import { ColorField, NumberField } from './fields'
import { CALCULATIONS, type OptionField } from './option-fields'
import { UnitChoice } from './unit-choice'

type Props = {
  field: OptionField
  value: unknown
  error?: string | undefined
  onChange: (value: unknown) => void
}

/** An empty text among the choices, which is not the same as no choice. */
const EMPTY = '(empty)'
const encode = (value: unknown) => (value === '' ? EMPTY : String(value ?? ''))

/** One option, edited as its field says. */
export function OptionInput({ field, value, error, onChange }: Props) {
  const { label, hint, placeholder } = field
  const said = {
    label,
    error,
    ...(hint ? { hint } : {}),
    ...(placeholder ? { placeholder } : {}),
  }
  switch (field.as) {
    case 'number': {
      const { min, max, step } = field
      return (
        <NumberField
          {...said}
          {...(min === undefined ? {} : { min })}
          {...(max === undefined ? {} : { max })}
          {...(step === undefined ? {} : { step })}
          value={value as number | null | undefined}
          onChange={onChange}
        />
      )
    }
    case 'check':
      return (
        <Check
          label={label}
          {...(hint ? { hint } : {})}
          checked={value === true}
          onChange={(event) =>
            onChange(event.target.checked || (field.off === null ? null : false))
          }
        />
      )
    case 'unit':
      return <UnitChoice value={value as string | null} onChange={onChange} />
    case 'color':
      return (
        <ColorField label={label} optional value={value as string | null} onChange={onChange} />
      )
    case 'calculations':
      return (
        <Calculations label={label} value={(value as Calculation[]) ?? []} onChange={onChange} />
      )
    case 'choice': {
      const known = field.choices.some(([each]) => each === (value ?? null))
      return (
        <Choice
          label={label}
          {...(hint ? { hint } : {})}
          error={error}
          value={encode(value)}
          onChange={(event) => {
            const chosen = event.target.value
            onChange(chosen === EMPTY ? '' : chosen || null)
          }}
        >
          {!known && <option value={encode(value)}>{encode(value)}</option>}
          {field.choices.map(([each, name]) => (
            <option key={encode(each)} value={encode(each)}>
              {name}
            </option>
          ))}
        </Choice>
      )
    }
    default: {
      const Input = field.as === 'area' ? AreaOf : Field
      return (
        <Input
          {...said}
          value={(value as string | null) ?? ''}
          onChange={(event) => onChange(event.target.value || null)}
        />
      )
    }
  }
}

function AreaOf({
  onChange,
  ...rest
}: {
  label: string
  error?: string | undefined
  hint?: string
  value: string
  onChange: (event: { target: { value: string } }) => void
}) {
  return <Area className="min-h-40 font-mono" onChange={onChange} {...rest} />
}

/** Several calculations, in the order in which they were chosen. */
function Calculations({
  label,
  value,
  onChange,
}: {
  label: string
  value: Calculation[]
  onChange: (value: Calculation[]) => void
}) {
  return (
    <fieldset className="col-span-2 space-y-1">
      <legend className="mb-1 text-sm font-medium">{label}</legend>
      <div className="grid grid-cols-2 gap-1">
        {CALCULATIONS.map(([each, name]) => (
          <Check
            key={each}
            label={name}
            checked={value.includes(each as Calculation)}
            onChange={(event) =>
              onChange(
                event.target.checked
                  ? [...value, each as Calculation]
                  : value.filter((one) => one !== each),
              )
            }
          />
        ))}
      </div>
    </fieldset>
  )
}
