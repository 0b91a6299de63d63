import {
  AreaChart,
  BarChart3,
  BarChartHorizontal,
  Bell,
  ChartColumn,
  ChartScatter,
  ChartSpline,
  CircleHelp,
  Gauge,
  Grid3x3,
  Hash,
  LayoutDashboard,
  LineChart,
  type LucideIcon,
  PieChart,
  SquareStack,
  StretchHorizontal,
  TableProperties,
  Type,
} from 'lucide-react'
import { RadioGroup } from 'radix-ui'
import type { Panel, PanelOptions, Variable } from '@/api/generated/types.gen'
import { colorOf, PALETTES } from '@/charts/palette'
import { Area, Choice, Field } from '@/components/ui/controls'
import { DEFAULT_QUERY } from '@/lib/panel-defaults'
import { ColorField } from './fields'
import { JsonField } from './json-field'
import { ListOptions, Section } from './list-options'
import {
  isSet,
  isShown,
  LEGEND_FIELDS,
  type OptionField,
  PANEL_FIELDS,
  REPEAT_FIELDS,
  SECTIONS,
  TIMED,
  WITHOUT_QUERY,
} from './option-fields'
import { OptionInput } from './option-input'
import { TransformationsForm } from './transformations-form'

type Props = {
  panel: Panel
  variables: Variable[]
  fieldErrors: Record<string, string>
  /** The names of the columns that a transformation is given. */
  columnsBefore: (step: number) => string[]
  onChange: (change: Partial<Panel>) => void
}

const TYPES: readonly (readonly [Panel['type'], LucideIcon, string])[] = [
  ['line', LineChart, 'Line'],
  ['area', AreaChart, 'Area'],
  ['bar', BarChart3, 'Bars'],
  ['stat', Hash, 'Stat'],
  ['gauge', Gauge, 'Gauge'],
  ['table', TableProperties, 'Table'],
  ['barGauge', BarChartHorizontal, 'Bar gauge'],
  ['barChart', ChartColumn, 'Categories'],
  ['pie', PieChart, 'Pie'],
  ['heatmap', Grid3x3, 'Heatmap'],
  ['histogram', ChartSpline, 'Histogram'],
  ['xy', ChartScatter, 'XY'],
  ['stateTimeline', StretchHorizontal, 'State timeline'],
  ['statusHistory', SquareStack, 'Status history'],
  ['text', Type, 'Text'],
  ['alertList', Bell, 'Alert list'],
  ['dashboardList', LayoutDashboard, 'Dashboard list'],
]

/** The options of a panel: those that have an effect on its type, and all that are set. */
export function OptionsForm(props: Props) {
  const { panel, variables, fieldErrors, columnsBefore, onChange } = props
  const { options, type } = panel
  const set = (change: Partial<PanelOptions>) => onChange({ options: { ...options, ...change } })
  const timed = TIMED.includes(type)
  const queried = !WITHOUT_QUERY.includes(type)
  const legend = options.showLegend ? options.legend : 'hidden'
  const input = (field: OptionField<keyof PanelOptions & string>) => (
    <OptionInput
      key={field.key}
      field={field}
      value={options[field.key]}
      error={errorOf(field.key, fieldErrors)}
      onChange={(value) => set({ [field.key]: value })}
    />
  )
  const shown = (fields: readonly OptionField<keyof PanelOptions & string>[]) =>
    fields.filter((field) => isShown(field, type, options))
  const choose = (chosen: Panel['type']) =>
    onChange({
      type: chosen,
      // A text has no query, and a chart needs one.
      ...(!WITHOUT_QUERY.includes(chosen) && !panel.queries.length
        ? { queries: [DEFAULT_QUERY] }
        : {}),
    })
  return (
    <div className="space-y-3">
      <Section title="Panel" open>
        {type === 'unknown' && (
          <p className="flex gap-2 text-sm text-muted">
            <CircleHelp size={16} className="mt-0.5 shrink-0" aria-hidden="true" />
            This panel of another product is not drawn. Choose a type to draw it with queries of
            your own; its JSON is kept.
          </p>
        )}
        {type !== 'row' && (
          <RadioGroup.Root
            aria-label="Type"
            value={type}
            onValueChange={(value) => choose(value as Panel['type'])}
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
        )}
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
        {shown(PANEL_FIELDS).map(input)}
        {(variables.length > 0 || options.repeat) && (
          <Choice
            label="Repeat for each value of"
            value={options.repeat ?? ''}
            onChange={(event) => set({ repeat: event.target.value || null })}
          >
            <option value="">Nothing</option>
            {options.repeat && !variables.some(({ name }) => name === options.repeat) && (
              <option value={options.repeat}>{options.repeat} (no such variable)</option>
            )}
            {variables.map((variable) => (
              <option key={variable.name} value={variable.name}>
                {variable.label || variable.name}
              </option>
            ))}
          </Choice>
        )}
        {(options.repeat ?? '') !== '' || isSet(options, 'repeatMax') ? (
          <div className="grid grid-cols-2 gap-3">{REPEAT_FIELDS.map(input)}</div>
        ) : (
          isSet(options, 'repeatDirection') && REPEAT_FIELDS.map(input)
        )}
      </Section>

      {SECTIONS.map(({ title, open, fields }) => {
        const some = shown(fields)
        const boxes = some.filter(({ as }) => as === 'check')
        return (
          some.length > 0 && (
            <Section key={title} title={title} {...(open ? { open } : {})}>
              <div className="grid grid-cols-2 gap-3 empty:hidden">
                {some.filter(({ as }) => as !== 'check').map(input)}
              </div>
              {boxes.map(input)}
            </Section>
          )
        )
      })}

      {(queried ||
        ['palette', 'color', 'legend'].some((key) => isSet(options, key as 'color'))) && (
        <Section title="Colours and legend">
          <Choice
            label="Palette"
            hint="All palettes are colour-blind safe."
            value={options.palette ?? 'standard'}
            onChange={(event) => set({ palette: event.target.value })}
          >
            {options.palette && !PALETTES[options.palette] && (
              <option value={options.palette}>{options.palette} (unknown)</option>
            )}
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
          {(timed ||
            type === 'pie' ||
            isSet(options, 'showLegend') ||
            isSet(options, 'legend')) && (
            <Choice
              label="Legend"
              value={legend}
              onChange={(event) => {
                const chosen = event.target.value
                set({
                  showLegend: chosen !== 'hidden',
                  // Hidden, it keeps its form for when it is shown again.
                  ...(chosen === 'hidden' ? {} : { legend: chosen as PanelOptions['legend'] }),
                })
              }}
            >
              <option value="list">List</option>
              <option value="table">Table</option>
              <option value="hidden">Hidden</option>
            </Choice>
          )}
          {shown(LEGEND_FIELDS).map(input)}
        </Section>
      )}

      <ListOptions panel={panel} fieldErrors={fieldErrors} onChange={set} />

      {(queried || options.transformations.length > 0) && (
        <Section title={`Transformations (${options.transformations.length})`}>
          <TransformationsForm
            steps={options.transformations}
            columnsBefore={columnsBefore}
            onChange={(transformations) => set({ transformations })}
          />
        </Section>
      )}

      {(options.source || options.sourceId !== null) && (
        <Section title="Import">
          {options.sourceId !== null && (
            <p className="text-sm text-muted">
              Panel {options.sourceId} of the file that the dashboard comes from.
            </p>
          )}
          {options.source && (
            <JsonField
              label="Its JSON"
              value={options.source}
              onChange={(source) => set({ source })}
            />
          )}
        </Section>
      )}
    </div>
  )
}

const MESSAGES: Record<string, string> = {
  decimals: '0 to 10',
  minStep: 'For example 30s, 5m or 1h.',
  lineWidth: '0 to 10',
  fill: '0 to 100',
  repeatMax: '1 to 12',
}

const errorOf = (key: string, fieldErrors: Record<string, string>) => {
  const found = fieldErrors[`options.${key}`]
  return found && (MESSAGES[key] ?? found)
}
