type Formatter = (value: number, decimals: number | null | undefined) => string

const number = (value: number, decimals: number) =>
  value.toLocaleString('en-US', { minimumFractionDigits: 0, maximumFractionDigits: decimals })

/** Digits after the point that keep about three significant ones. */
function natural(value: number): number {
  const size = Math.abs(value)
  if (size >= 100 || value === 0) return 0
  if (size >= 10) return 1
  if (size >= 0.1) return 2
  return 4
}

const plain = (value: number, decimals: number | null | undefined) =>
  number(value, decimals ?? natural(value))

function scaled(base: number, prefixes: readonly string[], suffix: string): Formatter {
  return (value, decimals) => {
    let scaledValue = value
    let index = 0
    while (Math.abs(scaledValue) >= base && index < prefixes.length - 1) {
      scaledValue /= base
      index += 1
    }
    const unit = `${prefixes[index]}${suffix}`
    return `${plain(scaledValue, decimals)}${unit ? ` ${unit}` : ''}`
  }
}

const IEC = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const
const SI = ['', 'k', 'M', 'G', 'T'] as const

function seconds(value: number, decimals: number | null | undefined): string {
  const size = Math.abs(value)
  if (size === 0) return '0 s'
  if (size < 1e-3) return `${plain(value * 1e6, decimals)} µs`
  if (size < 1) return `${plain(value * 1e3, decimals)} ms`
  if (size < 120) return `${plain(value, decimals)} s`
  if (size < 7200) return `${plain(value / 60, decimals)} min`
  if (size < 172_800) return `${plain(value / 3600, decimals)} h`
  return `${plain(value / 86_400, decimals)} d`
}

const UNITS: Record<string, Formatter> = {
  percent: (value, decimals) => `${plain(value, decimals)} %`,
  ratio: (value, decimals) => `${plain(value * 100, decimals)} %`,
  bytes: scaled(1024, IEC, ''),
  'bytes/s': scaled(1024, IEC, '/s'),
  bits: scaled(1000, SI, 'b'),
  'bits/s': scaled(1000, SI, 'b/s'),
  seconds,
  milliseconds: (value, decimals) => seconds(value / 1000, decimals),
  ops: scaled(1000, SI, 'ops/s'),
  'requests/s': scaled(1000, SI, 'req/s'),
  celsius: (value, decimals) => `${plain(value, decimals)} °C`,
  none: plain,
}
UNITS.bytes_per_second = UNITS['bytes/s'] as Formatter
UNITS.bytesPerSecond = UNITS['bytes/s'] as Formatter
UNITS.Bps = UNITS['bytes/s'] as Formatter

const short = scaled(1000, SI, '')

/** A value with its unit, as people read it. An unknown unit is written behind the number. */
export function formatValue(
  value: number | null | undefined,
  unit?: string | null,
  decimals?: number | null,
): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return '–'
  if (!unit || unit === 'short') return short(value, decimals)
  const known = UNITS[unit]
  return known ? known(value, decimals) : `${plain(value, decimals)} ${unit}`
}
