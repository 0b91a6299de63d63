import clsx from 'clsx'
import type { PanelOptions } from '@/api/generated/types.gen'
import { calculate, fullName } from '@/charts/chart-data'
import { type StyledLine, showValue } from '@/charts/series-style'
import { SeriesTable } from './series-table'

type Props = {
  options: PanelOptions
  lines: StyledLine[]
  hidden: ReadonlySet<string>
  onClick: (key: string, add: boolean) => void
}

/** The series of a chart: a click shows only that series, Ctrl+click hides or shows it. */
export function PanelLegend(props: Props) {
  if (!props.options.showLegend) return null
  return props.options.legend === 'table' ? <LegendTable {...props} /> : <LegendList {...props} />
}

function Name({
  line,
  hidden,
  onClick,
  children,
}: Omit<Props, 'lines' | 'options'> & { line: StyledLine; children?: React.ReactNode }) {
  const off = hidden.has(line.key)
  return (
    <button
      type="button"
      aria-pressed={!off}
      title={`${fullName(line)}\nClick to show only this series. Ctrl+click to hide or show it.`}
      onClick={(event) => onClick(line.key, event.ctrlKey || event.metaKey)}
      // Browsers do not turn Ctrl+Enter into a click.
      onKeyDown={(event) => {
        if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) onClick(line.key, true)
      }}
      className={clsx(
        'flex min-w-0 max-w-full items-center gap-1.5 rounded px-1.5 py-0.5 text-left text-xs hover:bg-raised',
        off && 'text-muted line-through',
      )}
    >
      <span
        className="h-0.5 w-3 shrink-0 rounded-full"
        style={{ background: off ? 'var(--line)' : line.color }}
      />
      <span className="truncate">{line.label}</span>
      {children}
    </button>
  )
}

function LegendList({ options, lines, ...rest }: Props) {
  return (
    <ul
      aria-label="Legend"
      className={clsx(
        'when-roomy flex overflow-y-auto',
        options.legendSide === 'right'
          ? 'ml-2 max-w-[40%] shrink-0 flex-col'
          : 'mt-1 max-h-14 shrink-0 flex-wrap gap-x-1',
      )}
    >
      {lines.map((line) => (
        <li key={line.key} className="max-w-full">
          <Name line={line} {...rest}>
            <span className="min-w-16 shrink-0 text-muted tabular-nums">
              {legendText(line, options)}
            </span>
          </Name>
        </li>
      ))}
    </ul>
  )
}

/** The values beside a name: those that were chosen, by name, else that of the calculation. */
function legendText(line: StyledLine, options: PanelOptions): string {
  const write = (how: PanelOptions['calculation']) =>
    showValue(calculate(line.values, how), line.unit, options, line.style).text
  if (!options.legendValues.length) return write(options.calculation)
  return options.legendValues.map((how) => `${how}: ${write(how)}`).join('  ')
}

function LegendTable({ options, lines, ...rest }: Props) {
  return (
    <section
      className={clsx(
        'when-roomy overflow-auto',
        options.legendSide === 'right' ? 'ml-2 max-w-[50%]' : 'mt-1 max-h-[40%] shrink-0',
      )}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard
      tabIndex={0}
      aria-label="Legend"
    >
      <SeriesTable
        lines={lines}
        options={options}
        columns={options.legendValues}
        className="text-xs"
        name={(line) => <Name line={line} {...rest} />}
      />
    </section>
  )
}
