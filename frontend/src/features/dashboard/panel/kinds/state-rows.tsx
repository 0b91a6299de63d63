import { colorOf } from '@/charts/palette'
import { applyOverrides, type StyledLine, showValue } from '@/charts/series-style'
import { timeZoneOf, useZone } from '@/lib/zone'
import type { KindProps } from './kind-props'
import { TimeAxis } from './time-axis'

type State = { from: number; to: number; text: string; color: string }

const NAMES = 'clamp(2rem, 28%, 7rem)'
const MOST_ROWS = 200
const MOST_CELLS = 120

type Options = KindProps['panel']['options']

/** The states of a line: equal ones after each other are one. */
export function statesOf(
  line: StyledLine,
  times: number[],
  end: number,
  options: Options,
  colors: Map<string, string>,
  merged: boolean,
): State[] {
  const points = line.own ?? [...times.keys()]
  const every = merged ? 1 : Math.max(1, Math.ceil(points.length / MOST_CELLS))
  const states: State[] = []
  for (let position = 0; position < points.length; position += every) {
    const at = points[position] ?? 0
    const next = points[position + every]
    const value = line.values[at] ?? null
    if (value === null) continue
    const { text, color } = showValue(value, line.unit, options, line.style)
    let shade = color
    if (!shade) {
      // Without thresholds, each text has a colour of its own.
      shade = colors.get(text) ?? colorOf(colors.size, null, options.palette)
      colors.set(text, shade)
    }
    const from = times[at] ?? 0
    const to = next === undefined ? end : (times[next] ?? end)
    const last = states.at(-1)
    if (merged && last && last.text === text && last.color === shade && last.to === from) {
      last.to = to
    } else states.push({ from, to, text, color: shade })
  }
  return states
}

/** States over time, one row for each series: merged (a state timeline) or point by point. */
export default function StateRows({ panel, table, data }: KindProps) {
  const zone = useZone()
  const { options } = panel
  const colors = new Map<string, string>()
  const merged = panel.type === 'stateTimeline'
  const lines = applyOverrides(table, options).slice(0, MOST_ROWS)
  const { start } = data
  const end = Math.max(data.end, table.times.at(-1) ?? 0)
  const span = end - start || 1
  const clock = new Intl.DateTimeFormat(undefined, {
    dateStyle: 'short',
    timeStyle: 'short',
    timeZone: timeZoneOf(zone),
  })
  const rows = lines.map((line) => ({
    line,
    states: statesOf(line, table.times, end, options, colors, merged),
  }))
  return (
    <div className="flex h-full flex-col">
      <section
        className="flex min-h-0 flex-1 flex-col gap-1 overflow-y-auto"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard
        tabIndex={0}
        aria-label={`${panel.title}: states`}
      >
        {rows.map(({ line, states }) => (
          <div key={line.key} className="flex min-h-5 max-h-14 flex-1 items-stretch">
            <span
              className="flex shrink-0 items-center justify-end pr-2 text-xs text-muted"
              style={{ width: NAMES }}
              title={line.label}
            >
              <span className="truncate">{line.label}</span>
            </span>
            <span className="relative min-w-0 flex-1 overflow-hidden rounded bg-raised">
              {states.map(({ from, to, text, color }) => {
                const width = ((to - from) / span) * 100
                return (
                  <span
                    key={from}
                    title={`${line.label}: ${text}, ${clock.format(from)} – ${clock.format(to)}`}
                    className="absolute inset-y-0 flex items-center overflow-hidden border-r border-surface pl-1 text-[11px]"
                    style={{
                      left: `${(Math.max(0, from - start) / span) * 100}%`,
                      width: `${width}%`,
                      background: color,
                    }}
                  >
                    {merged && width > 4 && (
                      <span className="truncate rounded bg-surface/80 px-1">{text}</span>
                    )}
                  </span>
                )
              })}
            </span>
          </div>
        ))}
      </section>
      <TimeAxis start={start} end={end} inset={NAMES} />
      {options.showLegend && colors.size > 0 && (
        <ul
          aria-label="Legend"
          className="when-roomy mt-1 flex max-h-10 shrink-0 flex-wrap gap-x-3 overflow-y-auto text-xs"
        >
          {[...colors].map(([text, color]) => (
            <li key={text} className="flex items-center gap-1.5">
              <span className="size-2.5 rounded-sm" style={{ background: color }} />
              {text}
            </li>
          ))}
        </ul>
      )}
      <table className="sr-only">
        <caption>{panel.title}: newest states</caption>
        <tbody>
          {rows.map(({ line, states }) => (
            <tr key={line.key}>
              <th scope="row">{line.label}</th>
              <td>{states.at(-1)?.text ?? 'no data'}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}
