import clsx from 'clsx'
import type { PanelOptions } from '@/api/generated/types.gen'
import { calculate } from '@/charts/chart-data'
import { type Look, showValue } from '@/charts/series-style'
import { SeriesTable } from './series-table'

type Props = {
  options: PanelOptions
  looks: Look[]
  hidden: ReadonlySet<string>
  onClick: (key: string, add: boolean) => void
}

/** The series of a chart: a click shows one alone, with Ctrl hides or shows one. */
export function PanelLegend(props: Props) {
  if (!props.options.showLegend) return null
  return props.options.legend === 'table' ? <LegendTable {...props} /> : <LegendList {...props} />
}

function Name({
  look,
  hidden,
  onClick,
  children,
}: Omit<Props, 'looks' | 'options'> & { look: Look; children?: React.ReactNode }) {
  const off = hidden.has(look.key)
  return (
    <button
      type="button"
      aria-pressed={!off}
      title="Click to show only this series. Ctrl+click to hide or show it."
      onClick={(event) => onClick(look.key, event.ctrlKey || event.metaKey)}
      // Browsers make no click of Enter while Ctrl is held.
      onKeyDown={(event) => {
        if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) onClick(look.key, true)
      }}
      className={clsx(
        'flex min-w-0 max-w-full items-center gap-1.5 rounded px-1.5 py-0.5 text-left text-xs hover:bg-raised',
        off && 'text-muted line-through',
      )}
    >
      <span
        className="h-0.5 w-3 shrink-0 rounded-full"
        style={{ background: off ? 'var(--line)' : look.color }}
      />
      <span className="truncate">{look.label}</span>
      {children}
    </button>
  )
}

function LegendList({ options, looks, ...rest }: Props) {
  return (
    <ul
      aria-label="Legend"
      className="mt-1 flex max-h-14 shrink-0 flex-wrap gap-x-1 overflow-y-auto"
    >
      {looks.map((look) => (
        <li key={look.key} className="max-w-full">
          <Name look={look} {...rest}>
            <span className="min-w-16 shrink-0 text-muted tabular-nums">
              {showValue(calculate(look.values, options.calculation), look.unit, options).text}
            </span>
          </Name>
        </li>
      ))}
    </ul>
  )
}

function LegendTable({ options, looks, ...rest }: Props) {
  return (
    <section
      className="mt-1 max-h-[40%] shrink-0 overflow-auto"
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard
      tabIndex={0}
      aria-label="Legend"
    >
      <SeriesTable
        looks={looks}
        options={options}
        className="text-xs"
        name={(look) => <Name look={look} {...rest} />}
      />
    </section>
  )
}
