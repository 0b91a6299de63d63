import clsx from 'clsx'
import {
  AreaChart,
  BarChart3,
  Gauge,
  Hash,
  LineChart,
  Plus,
  TableProperties,
  Trash2,
} from 'lucide-react'
import { RadioGroup } from 'radix-ui'
import type { ReactNode } from 'react'
import type {
  Panel,
  PanelLink,
  PanelOptions,
  SeriesOverride,
  Threshold,
  Variable,
} from '@/api/generated/types.gen'
import { colorOf, PALETTES } from '@/charts/palette'
import { Area, Button, Check, Choice, Field } from '@/components/ui/controls'
import { UNIT_GROUPS } from '@/lib/units'
import { ColorField, NumberField } from './fields'

type Props = {
  panel: Panel
  variables: Variable[]
  problems: Record<string, string>
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

/** How a panel looks. What does not concern its type is not shown. */
export function OptionsForm({ panel, variables, problems, onChange }: Props) {
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
          problem={problems.title && 'A panel needs a title.'}
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
            placeholder="Automatic"
            value={options.decimals}
            problem={problems['options.decimals'] && '0 to 10'}
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
              problem={problems['options.min']}
              onChange={(min) => set({ min })}
            />
            <NumberField
              label="Maximum"
              placeholder={type === 'gauge' ? '100' : 'Automatic'}
              value={options.max}
              problem={problems['options.max']}
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
                label="Stack the series"
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
          hint="All are safe for colour-blind eyes."
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

      <Section title={`Thresholds (${options.thresholds.length})`}>
        {timed && (
          <Choice
            label="Drawn as"
            value={options.thresholdStyle}
            onChange={(event) =>
              set({ thresholdStyle: event.target.value as PanelOptions['thresholdStyle'] })
            }
          >
            <option value="line">Lines</option>
            <option value="area">Areas</option>
            <option value="both">Lines and areas</option>
          </Choice>
        )}
        <Rows<Threshold>
          name="threshold"
          rows={options.thresholds}
          fresh={{ value: 80, color: 'orange', label: null }}
          onChange={(thresholds) => set({ thresholds })}
        >
          {(threshold, change) => (
            <div className="grid grid-cols-2 gap-2">
              <NumberField
                label="From"
                value={threshold.value}
                onChange={(value) => change({ value: value ?? 0 })}
              />
              <ColorField
                label="Colour"
                value={threshold.color}
                onChange={(color) => change({ color: color ?? 'orange' })}
              />
            </div>
          )}
        </Rows>
      </Section>

      <Section title={`Series overrides (${options.overrides.length})`}>
        <Rows<SeriesOverride>
          name="override"
          rows={options.overrides}
          fresh={{ match: '*', color: null, label: null, unit: null, hidden: null }}
          onChange={(overrides) => set({ overrides })}
        >
          {(override, change, index) => (
            <div className="grid grid-cols-2 gap-2">
              <Field
                label="Series"
                hint="* stands for any text"
                value={override.match}
                problem={problems[`options.overrides.${index}.match`] && 'Name a series.'}
                onChange={(event) => change({ match: event.target.value })}
              />
              <Field
                label="Shown as"
                value={override.label ?? ''}
                onChange={(event) => change({ label: event.target.value || null })}
              />
              <ColorField
                label="Colour"
                optional
                value={override.color}
                onChange={(color) => change({ color })}
              />
              <UnitChoice value={override.unit} onChange={(unit) => change({ unit })} />
              <Check
                label="Hidden"
                checked={override.hidden ?? false}
                onChange={(event) => change({ hidden: event.target.checked || null })}
              />
            </div>
          )}
        </Rows>
      </Section>

      <Section title={`Links (${options.links.length})`}>
        <Rows<PanelLink>
          name="link"
          rows={options.links}
          fresh={{ title: 'Runbook', url: 'https://' }}
          onChange={(links) => set({ links })}
        >
          {(link, change, index) => (
            <div className="space-y-2">
              <Field
                label="Title"
                value={link.title}
                problem={problems[`options.links.${index}.title`] && 'A link needs a title.'}
                onChange={(event) => change({ title: event.target.value })}
              />
              <Field
                label="Address"
                value={link.url}
                problem={
                  problems[`options.links.${index}.url`] && 'Begins with https://, http:// or /.'
                }
                onChange={(event) => change({ url: event.target.value })}
              />
            </div>
          )}
        </Rows>
      </Section>
    </div>
  )
}

function Section({
  title,
  open,
  children,
}: {
  title: string
  open?: boolean
  children: ReactNode
}) {
  return (
    <details open={open} className="rounded-lg border border-line bg-surface">
      <summary className="cursor-pointer px-3 py-2.5 text-sm font-medium select-none">
        {title}
      </summary>
      <div className="space-y-3 border-t border-line p-3">{children}</div>
    </details>
  )
}

type RowsProps<T> = {
  name: string
  rows: T[]
  fresh: T
  onChange: (rows: T[]) => void
  children: (row: T, change: (part: Partial<T>) => void, index: number) => ReactNode
}

function Rows<T>({ name, rows, fresh, onChange, children }: RowsProps<T>) {
  return (
    <>
      <ul className="space-y-3 empty:hidden">
        {rows.map((row, index) => (
          // Anew when rows come or go, so that what is being typed belongs to its own row.
          <li key={`${rows.length}-${index}`} className="flex gap-2">
            <div className="min-w-0 flex-1">
              {children(
                row,
                (part) =>
                  onChange(rows.map((old, place) => (place === index ? { ...old, ...part } : old))),
                index,
              )}
            </div>
            <Button
              look="ghost"
              className={clsx('mt-6 w-8 !px-0')}
              aria-label={`Remove ${name} ${index + 1}`}
              onClick={() => onChange(rows.filter((_, place) => place !== index))}
            >
              <Trash2 size={15} aria-hidden="true" />
            </Button>
          </li>
        ))}
      </ul>
      <Button className="w-full" onClick={() => onChange([...rows, fresh])}>
        <Plus size={15} aria-hidden="true" /> Add {name}
      </Button>
    </>
  )
}

function UnitChoice({
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
            ? (window.prompt('Unit, written behind the number:') ?? value ?? null)
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
      <option value="own">Own…</option>
    </Choice>
  )
}
