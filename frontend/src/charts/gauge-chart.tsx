import { PolarAngleAxis, RadialBar, RadialBarChart, ResponsiveContainer } from 'recharts'

type Props = { value: number; low: number; high: number; color: string }

/** Half a ring, filled to the value. Loaded lazily: its library is large. */
export default function GaugeChart({ value, low, high, color }: Props) {
  const within = Math.min(high, Math.max(low, value))
  return (
    <ResponsiveContainer width="100%" height="100%" minWidth={40} minHeight={40}>
      <RadialBarChart
        data={[{ value: within - low }]}
        cy="78%"
        innerRadius="105%"
        outerRadius="150%"
        startAngle={180}
        endAngle={0}
        margin={{ top: 4, right: 4, bottom: 0, left: 4 }}
        accessibilityLayer={false}
      >
        <PolarAngleAxis type="number" domain={[0, high - low]} tick={false} axisLine={false} />
        <RadialBar
          dataKey="value"
          fill={color}
          background={{ fill: 'var(--raised)' }}
          cornerRadius={8}
          isAnimationActive={false}
        />
      </RadialBarChart>
    </ResponsiveContainer>
  )
}
