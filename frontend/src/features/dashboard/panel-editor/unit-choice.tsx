import { Choice } from '@/components/ui/controls'
import { UNIT_GROUPS } from '@/lib/units'

export function UnitChoice({
  value,
  onChange,
}: {
  value: string | null | undefined
  onChange: (unit: string | null) => void
}) {
  const known = UNIT_GROUPS.some((group) => value && value in group.units)
  return (
    <Choice
      label="Unit"
      value={value ?? ''}
      onChange={(event) => {
        const chosen = event.target.value
        onChange(
          chosen === 'own'
            ? (window.prompt('Unit shown after the number:') ?? value ?? null)
            : chosen || null,
        )
      }}
    >
      <option value="">Automatic</option>
      {value && !known && <option value={value}>{value}</option>}
      {UNIT_GROUPS.map((group) => (
        <optgroup key={group.label} label={group.label}>
          {Object.entries(group.units).map(([name, { label }]) => (
            <option key={name} value={name}>
              {label}
            </option>
          ))}
        </optgroup>
      ))}
      <option value="own">Custom…</option>
    </Choice>
  )
}
