type Props = { value: number; low: number; high: number; color: string }

/** The half circle from the left to the right, above its centre at (50, 49). */
const ARC = 'M 9 49 A 41 41 0 0 1 91 49'

/** How much of a gauge is filled, from 0 to 1. */
export function gaugeShare(value: number, low: number, high: number): number {
  const share = (value - low) / (high - low)
  return Number.isFinite(share) ? Math.min(1, Math.max(0, share)) : 0
}

/** Half a ring, filled to the value. */
export function GaugeChart({ value, low, high, color }: Props) {
  const share = gaugeShare(value, low, high)
  const ring = { d: ARC, fill: 'none', strokeWidth: 13, strokeLinecap: 'round' } as const
  return (
    <svg viewBox="0 0 100 60" className="h-full w-full" data-gauge={share} aria-hidden="true">
      <path {...ring} stroke="var(--raised)" />
      {share > 0 && (
        <path {...ring} stroke={color} pathLength={100} strokeDasharray={`${share * 100} 200`} />
      )}
    </svg>
  )
}
