import { AreaChart, BarChart3, Gauge, Hash, LineChart, TableProperties } from 'lucide-react'
import { RadioGroup } from 'radix-ui'
import type { Panel, PanelOptions, Variable } from '@/api/generated/types.gen'
import { colorOf, PALETTES } from '@/charts/palette'
import { Area, Check, Choice, Field } from '@/components/ui/controls'
import { ColorField, NumberField } from './fields'
import { ListOptions, Section, UnitChoice } from './list-options'

type Props = {
  panel: Panel
  variables: Variable[]
  fieldErrors: Record<string, string>
  onChange: (change: Partial<Panel>) => void
}

const TYPES = [
  ['line', LineChart, 'Line'],
  ['area', AreaChart, 'Area'],
  ['bar', BarChart3, 'Bars'],
  ['stat', Hash, 'Stat'],
  ['gauge', Gauge, 'Gauge'],
  ['table', TableProperties, 'Table'],
] as const

const CALCULATIONS = [
  ['last', 'Last'],
  ['avg', 'Average'],
  ['min', 'Minimum'],
  ['max', 'Maximum'],
  ['sum', 'Total'],
] as const

/** The options of a panel. Options that do not apply to its type are hidden. */
export function OptionsForm({ panel, variables, fieldErrors, onChange }: Props) {
  const { options, type } = panel
  const set = (change: Partial<PanelOptions>) => onChange({ options: { ...options, ...change } })
  const timed = type === 'line' || type === 'area' || type === 'bar'
  const legend = options.showLegend ? options.legend : 'hidden'
  return (
    <div className="space-y-3">
      <Section title="Panel" open>
        <RadioGroup.Root
          aria-label="Type"
          value={type}
          onValueChange={(value) => onChange({ type: value as Panel['type'] })}
          className="grid grid-cols-3 gap-2"
        >
          {TYPES.map(([value, Icon, label]) => (
            <RadioGroup.Item
              key={value}
              value={value}
              className="flex flex-col items-center gap-1 rounded-md border border-line p-2 text-xs hover:bg-raised data-[state=checked]:border-accent data-[state=checked]:bg-raised data-[state=checked]:font-medium"
            >
              <Icon size={18} aria-hidden="true" />
              {label}
            </RadioGroup.Item>
          ))}
        </RadioGroup.Root>
        <Field
          label="Title"
          value={panel.title}
          error={fieldErrors.title && 'Enter a title.'}
          onChange={(event) => onChange({ title: event.target.value })}
        />
        <Area
          label="Description"
          value={options.description ?? ''}
          onChange={(event) => set({ description: event.target.value || null })}
        />
        {variables.length > 0 && (
          <Choice
            label="Repeat for each value of"
            value={options.repeat ?? ''}
            onChange={(event) => set({ repeat: event.target.value || null })}
          >
            <option value="">Nothing</option>
            {variables.map((variable) => (
              <option key={variable.name} value={variable.name}>
                {variable.label || variable.name}
              </option>
            ))}
          </Choice>
        )}
      </Section>

      <Section title="Values" open>
        <div className="grid grid-cols-2 gap-3">
          <UnitChoice value={options.unit} onChange={(unit) => set({ unit })} />
          <NumberField
            label="Decimals"
            min={0}
            max={10}
            step={1}
            placeholder="Automatic"
            value={options.decimals}
            error={fieldErrors['options.decimals'] && '0 to 10'}
            onChange={(decimals) => set({ decimals })}
          />
          {type !== 'table' && (
            <Choice
              label="Calculation"
              value={options.calculation}
              onChange={(event) =>
                set({ calculation: event.target.value as PanelOptions['calculation'] })
              }
            >
              {CALCULATIONS.map(([value, label]) => (
                <option key={value} value={value}>
                  {label}
                </option>
              ))}
            </Choice>
          )}
          <Choice
            label="Missing values"
            value={options.nulls}
            onChange={(event) => set({ nulls: event.target.value as PanelOptions['nulls'] })}
          >
            <option value="gap">Gap</option>
            <option value="connect">Connect</option>
            <option value="zero">Zero</option>
          </Choice>
          <Field
            label="Minimum step"
            placeholder="Automatic"
            value={options.minStep ?? ''}
            error={fieldErrors['options.minStep'] && 'For example 30s, 5m or 1h.'}
            onChange={(event) => set({ minStep: event.target.value || null })}
          />
        </div>
        {type === 'stat' && (
          <Check
            label="Sparkline"
            checked={options.sparkline}
            onChange={(event) => set({ sparkline: event.target.checked })}
          />
        )}
      </Section>

      {(timed || type === 'gauge') && (
        <Section title="Axis" open>
          <div className="grid grid-cols-2 gap-3">
            <NumberField
              label="Minimum"
              placeholder={type === 'gauge' ? '0' : 'Automatic'}
              value={options.min}
              error={fieldErrors['options.min']}
              onChange={(min) => set({ min })}
            />
            <NumberField
              label="Maximum"
              placeholder={type === 'gauge' ? '100' : 'Automatic'}
              value={options.max}
              error={fieldErrors['options.max']}
              onChange={(max) => set({ max })}
            />
          </div>
          {timed && (
            <>
              <Choice
                label="Scale"
                value={options.scale}
                onChange={(event) => set({ scale: event.target.value as PanelOptions['scale'] })}
              >
                <option value="linear">Linear</option>
                <option value="log">Logarithmic</option>
              </Choice>
              <Check
                label="Stack series"
                checked={options.stacked}
                onChange={(event) => set({ stacked: event.target.checked })}
              />
            </>
          )}
        </Section>
      )}

      <Section title="Colours and legend">
        <Choice
          label="Palette"
          hint="All palettes are colour-blind safe."
          value={options.palette ?? 'standard'}
          onChange={(event) => set({ palette: event.target.value })}
        >
          {Object.entries(PALETTES).map(([name, { label }]) => (
            <option key={name} value={name}>
              {label}
            </option>
          ))}
        </Choice>
        <div className="flex gap-1" aria-hidden="true">
          {PALETTES[options.palette ?? 'standard']?.colors.map((color, index) => (
            <span
              key={color}
              className="h-3 flex-1 rounded"
              style={{ background: colorOf(index, null, options.palette) }}
            />
          ))}
        </div>
        <ColorField
          label="First series"
          optional
          value={options.color}
          onChange={(color) => set({ color })}
        />
        {timed && (
          <Choice
            label="Legend"
            value={legend}
            onChange={(event) => {
              const chosen = event.target.value
              set({
                showLegend: chosen !== 'hidden',
                legend: chosen === 'table' ? 'table' : 'list',
              })
            }}
          >
            <option value="list">List</option>
            <option value="table">Table with last, min, max, average</option>
            <option value="hidden">Hidden</option>
          </Choice>
        )}
      </Section>

      <ListOptions options={options} timed={timed} fieldErrors={fieldErrors} onChange={set} />
    </div>
  )
}
