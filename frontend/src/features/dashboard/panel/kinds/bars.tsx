import { type ReactNode, useState } from 'react'

export type BarGroup = {
  label: string
  bars: { name: string; value: number | null; text: string; color: string }[]
}

/** Upright bars in groups, with an axis of values; a table says the same to screen readers. */
export function Bars({
  title,
  groups,
  format,
  low,
  high,
  dense,
}: {
  title: string
  groups: BarGroup[]
  format: (value: number) => string
  low: number
  high: number
  /** Bars that touch each other, as in a histogram. */
  dense?: boolean
}) {
  const [tip, setTip] = useState<ReactNode>()
  const span = high - low || 1
  const zero = Math.min(1, Math.max(0, (0 - low) / span))
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((share) => low + share * span)
  const every = Math.ceil(groups.length / 14)
  return (
    <div className="flex h-full flex-col">
      <div className="relative flex min-h-0 flex-1">
        <div className="relative w-14 shrink-0" aria-hidden="true">
          {ticks.map((tick) => (
            <span
              key={tick}
              className="absolute right-2 translate-y-1/2 text-[11px] whitespace-nowrap text-muted tabular-nums"
              style={{ bottom: `${((tick - low) / span) * 92 + 2}%` }}
            >
              {format(tick)}
            </span>
          ))}
        </div>
        <div className="relative min-w-0 flex-1" aria-hidden="true">
          {ticks.map((tick) => (
            <span
              key={tick}
              className="absolute inset-x-0 border-t border-(--grid)"
              style={{ bottom: `${((tick - low) / span) * 92 + 2}%` }}
            />
          ))}
          <div className="absolute inset-0 flex items-stretch" style={{ gap: dense ? 1 : '2%' }}>
            {groups.map((group, index) => (
              <div key={`${index}-${group.label}`} className="relative flex min-w-0 flex-1 gap-px">
                {group.bars.map(({ name, value, text, color }) => {
                  const share = value === null ? zero : (value - low) / span
                  return (
                    // biome-ignore lint/a11y/noStaticElementInteractions: a table says the same
                    <span
                      key={name}
                      className="relative min-w-0 flex-1"
                      onMouseEnter={() =>
                        setTip(
                          `${group.label}${name && name !== group.label ? ` · ${name}` : ''}: ${text}`,
                        )
                      }
                      onMouseLeave={() => setTip(undefined)}
                    >
                      <span
                        className="absolute inset-x-0 rounded-t-sm"
                        style={{
                          bottom: `${Math.min(share, zero) * 92 + 2}%`,
                          height: `${Math.abs(share - zero) * 92}%`,
                          background: color,
                        }}
                      />
                    </span>
                  )
                })}
              </div>
            ))}
          </div>
          {tip && (
            <span
              role="tooltip"
              className="pointer-events-none absolute top-1 right-1 z-10 rounded-md border border-line bg-surface px-2 py-1 text-xs shadow-lg"
            >
              {tip}
            </span>
          )}
        </div>
      </div>
      <div
        className="ml-14 flex h-4 shrink-0 text-[11px] text-muted"
        style={{ gap: dense ? 1 : '2%' }}
        aria-hidden="true"
      >
        {groups.map((group, index) => (
          <span
            key={`${index}-${group.label}`}
            className="min-w-0 flex-1 overflow-visible text-center"
          >
            {index % every === 0 && (
              <span className={every > 1 ? 'whitespace-nowrap' : 'block truncate'}>
                {group.label}
              </span>
            )}
          </span>
        ))}
      </div>
      <table className="sr-only">
        <caption>{title}</caption>
        <tbody>
          {groups.flatMap((group) =>
            group.bars.map(({ name, text }) => (
              <tr key={`${group.label} ${name}`}>
                <th scope="row">{`${group.label} ${name}`}</th>
                <td>{text}</td>
              </tr>
            )),
          )}
        </tbody>
      </table>
    </div>
  )
}
