import type { Line } from './chart-data'

/** A text as one cell: quoted if needed, and never a formula in a spreadsheet. */
function cell(text: string): string {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}

/** Lines as CSV: one row per timestamp (ISO 8601, UTC), one column per series, empty for a gap. */
export function csvOf(times: number[], lines: Pick<Line, 'label' | 'values'>[]): string {
  const head = ['time', ...lines.map(({ label }) => cell(label))]
  const rows = times.map((time, index) => [
    new Date(time).toISOString(),
    ...lines.map(({ values }) => values[index] ?? ''),
  ])
  return [head, ...rows].map((row) => `${row.join(',')}\r\n`).join('')
}
