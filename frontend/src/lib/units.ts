type Formatter = (value: number, decimals: number | null | undefined) => string

const formats = new Map<number, Intl.NumberFormat>()

const number = (value: number, decimals: number) => {
  let format = formats.get(decimals)
  if (!format) {
    format = new Intl.NumberFormat('en-US', { maximumFractionDigits: decimals })
    formats.set(decimals, format)
  }
  return format.format(value)
}

/** Significant digits of a number. More, up to `MOST_DIGITS`, where fewer would reach a power of ten. */
const DIGITS = 3
const MOST_DIGITS = 6
/** Sizes that are written with an exponent: 2e-6, 1e+20. */
const SMALL = 1e-4
const LARGE = 1e15

/** Significant digits with which 99.96 is not written 100. */
function digitsOf(size: number): number {
  const next = 10 ** (Math.floor(Math.log10(size)) + 1)
  let digits = DIGITS
  while (digits < MOST_DIGITS && Number(size.toPrecision(digits)) >= next) digits += 1
  return digits
}

/** Decimals that leave about three significant digits. */
function natural(size: number): number {
  if (size === 0) return 0
  return Math.max(0, digitsOf(size) - 1 - Math.floor(Math.log10(size)))
}

function plain(value: number, decimals: number | null | undefined): string {
  const size = Math.abs(value)
  const given = decimals ?? null
  if (size >= LARGE || (given === null && size > 0 && size < SMALL)) {
    return value
      .toPrecision(digitsOf(size))
      .replace(/^(-?[\d.]+)$/, (text) => Number(text).toExponential())
      .replace(/(\.\d*?)0+e/, '$1e')
      .replace('.e', 'e')
      .replace('e+', 'e')
  }
  const text = number(value, given ?? natural(size))
  return text === '-0' ? '0' : text
}

/** The number that is shown. */
function rounded(value: number, decimals: number | null | undefined): number {
  const size = Math.abs(value)
  if (size === 0 || size >= LARGE || !Number.isFinite(size)) return value
  const places = decimals ?? natural(size)
  return !(places >= 0 && places <= 20) ? value : Number(value.toFixed(places))
}

function scaled(base: number, prefixes: readonly string[], suffix: string): Formatter {
  return (value, decimals) => {
    let scaledValue = value
    let index = 0
    const shown = () => Math.abs(rounded(scaledValue, decimals))
    while (shown() >= base && index < prefixes.length - 1) {
      scaledValue /= base
      index += 1
    }
    // 1023.99 B is 1 KiB, and not 0.99999.
    if (index > 0 && Math.abs(scaledValue) < 1) scaledValue = Math.sign(scaledValue)
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

const days = (value: number) =>
  new Date(value).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' })

type Unit = { label: string; format: Formatter }
type UnitGroup = { label: string; units: Record<string, Unit> }

const behind =
  (symbol: string): Formatter =>
  (value, decimals) =>
    `${plain(value, decimals)} ${symbol}`
const before =
  (symbol: string): Formatter =>
  (value, decimals) =>
    `${value < 0 ? '-' : ''}${symbol}${short(Math.abs(value), decimals)}`

const short = scaled(1000, SI, '')

/** The units that a panel can show, as the editor lists them. */
export const UNIT_GROUPS: UnitGroup[] = [
  {
    label: 'Numbers',
    units: {
      short: { label: 'Short (1.2 k)', format: short },
      none: { label: 'Plain number', format: plain },
      percent: { label: 'Percent (0–100)', format: behind('%') },
      ratio: { label: 'Percent (0.0–1.0)', format: (v, d) => `${plain(v * 100, d)} %` },
      scientific: { label: 'Scientific', format: (v, d) => v.toExponential(d ?? 2) },
      hex: { label: 'Hexadecimal', format: (v) => `0x${Math.round(v).toString(16)}` },
    },
  },
  {
    label: 'Data',
    units: {
      bytes: { label: 'Bytes (1024)', format: scaled(1024, IEC, '') },
      decbytes: { label: 'Bytes (1000)', format: scaled(1000, SI, 'B') },
      bits: { label: 'Bits (1000)', format: scaled(1000, SI, 'b') },
      'bytes/s': { label: 'Bytes per second (1024)', format: scaled(1024, IEC, '/s') },
      'decbytes/s': { label: 'Bytes per second (1000)', format: scaled(1000, SI, 'B/s') },
      'bits/s': { label: 'Bits per second', format: scaled(1000, SI, 'b/s') },
      'packets/s': { label: 'Packets per second', format: scaled(1000, SI, 'p/s') },
    },
  },
  {
    label: 'Time',
    units: {
      seconds: { label: 'Seconds', format: seconds },
      milliseconds: { label: 'Milliseconds', format: (v, d) => seconds(v / 1e3, d) },
      microseconds: { label: 'Microseconds', format: (v, d) => seconds(v / 1e6, d) },
      nanoseconds: { label: 'Nanoseconds', format: (v, d) => seconds(v / 1e9, d) },
      hertz: { label: 'Hertz', format: scaled(1000, SI, 'Hz') },
      date: { label: 'Date (Unix time in ms)', format: days },
    },
  },
  {
    label: 'Throughput',
    units: {
      ops: { label: 'Operations per second', format: scaled(1000, SI, 'ops/s') },
      'requests/s': { label: 'Requests per second', format: scaled(1000, SI, 'req/s') },
      'reads/s': { label: 'Reads per second', format: scaled(1000, SI, 'rd/s') },
      'writes/s': { label: 'Writes per second', format: scaled(1000, SI, 'wr/s') },
      'events/s': { label: 'Events per second', format: scaled(1000, SI, 'ev/s') },
      'messages/s': { label: 'Messages per second', format: scaled(1000, SI, 'msg/s') },
      'ops/min': { label: 'Operations per minute', format: scaled(1000, SI, 'ops/min') },
    },
  },
  {
    label: 'Physics and money',
    units: {
      celsius: { label: 'Celsius', format: behind('°C') },
      fahrenheit: { label: 'Fahrenheit', format: behind('°F') },
      watts: { label: 'Watts', format: scaled(1000, SI, 'W') },
      volts: { label: 'Volts', format: scaled(1000, SI, 'V') },
      amperes: { label: 'Amperes', format: scaled(1000, SI, 'A') },
      rpm: { label: 'Revolutions per minute', format: behind('rpm') },
      humidity: { label: 'Relative humidity', format: behind('%H') },
      usd: { label: 'Dollars', format: before('$') },
      eur: { label: 'Euros', format: before('€') },
    },
  },
]

const UNITS: Record<string, Formatter> = Object.fromEntries(
  UNIT_GROUPS.flatMap(({ units }) =>
    Object.entries(units).map(([name, { format }]) => [name, format] as const),
  ),
)
for (const other of ['bytes_per_second', 'bytesPerSecond', 'Bps']) {
  UNITS[other] = scaled(1024, IEC, '/s')
}

/** A value with its unit. An unknown unit is written after the number. */
export function formatValue(
  value: number | null | undefined,
  unit?: string | null,
  decimals?: number | null,
): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return '–'
  decimals =
    typeof decimals === 'number' ? Math.min(20, Math.max(0, Math.trunc(decimals) || 0)) : null
  if (!unit || unit === 'short') return short(value, decimals)
  const known = UNITS[unit]
  return known ? known(value, decimals) : `${plain(value, decimals)} ${unit}`
}
