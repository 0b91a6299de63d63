import type { BatchAnswer, PanelQuery } from '@/api/generated/types.gen'
import { type Line, labelSeries, type Table } from './chart-data'

export type Value = number | string | null

/** A column: times are milliseconds since 1970. */
export type Field = {
  name: string
  type: 'time' | 'number' | 'text'
  values: Value[]
  labels?: Record<string, string>
  /** The letter of the query. */
  ref?: string
}

export type Frame = { name: string; ref?: string; fields: Field[] }

type Response = { query: PanelQuery; response: BatchAnswer | undefined; ref: string }

export const rowsOf = (frame: Frame): number => frame.fields[0]?.values.length ?? 0

/** The newest value, and its time. */
function newest(times: number[], values: (number | null)[]): [number | null, number | null] {
  for (let at = times.length - 1; at >= 0; at -= 1) {
    const value = values[at] ?? null
    if (value !== null) return [times[at] ?? null, value]
  }
  return [times.at(-1) ?? null, null]
}

/**
 * The results of a panel's queries as frames: of a query in table format one, with a column for
 * each label and a row for each series; of others one for each series.
 */
export function framesOf(responses: Response[]): Frame[] {
  const answered = responses.filter(({ query, response }) => !query.hidden && response?.result)
  const several = answered.length > 1
  return answered.flatMap(({ query, response, ref }): Frame[] => {
    const data = response?.result?.data
    if (!data) return []
    if (query.format !== 'table') {
      const labels = labelSeries(data.series, query.alias)
      return data.series.map((series, index) => ({
        name: labels[index] ?? series.name,
        ref,
        fields: [
          { name: 'Time', type: 'time', values: data.timestamps, ref },
          {
            name:
              query.alias || several || data.series.length > 1
                ? (labels[index] ?? series.name)
                : 'Value',
            type: 'number',
            values: series.values,
            labels: series.tags,
            ref,
          },
        ],
      }))
    }
    const keys = [...new Set(data.series.flatMap(({ tags }) => Object.keys(tags)))].sort()
    // A range in table format has a row for each point.
    const points = data.series.flatMap((series) =>
      query.instant || data.timestamps.length === 1
        ? [{ series, point: newest(data.timestamps, series.values) }]
        : data.timestamps.map((time, at) => ({
            series,
            point: [time, series.values[at] ?? null] as [number, number | null],
          })),
    )
    const rows = points.filter(({ point }) => point[1] !== null)
    const named = rows.some(({ series }) => series.name)
    return [
      {
        name: ref,
        ref,
        fields: [
          { name: 'Time', type: 'time', values: rows.map(({ point }) => point[0]), ref },
          ...(named
            ? [
                {
                  name: '__name__',
                  type: 'text' as const,
                  values: rows.map(({ series }) => series.name),
                  ref,
                },
              ]
            : []),
          ...keys.map((key) => ({
            name: key,
            type: 'text' as const,
            values: rows.map(({ series }) => series.tags[key] ?? ''),
            ref,
          })),
          {
            name: several ? `Value #${ref}` : 'Value',
            type: 'number',
            values: rows.map(({ point }) => point[1]),
            ref,
          },
        ],
      },
    ]
  })
}

/**
 * Frames as lines, for panels that are no tables: over time where there are times, else one value
 * for each row, named by its texts.
 */
export function linesOf(frames: Frame[]): Table {
  const times = [
    ...new Set(
      frames.flatMap(
        ({ fields }) => (fields.find(({ type }) => type === 'time')?.values ?? []) as number[],
      ),
    ),
  ].sort((a, b) => a - b)
  const at = new Map(times.map((time, index) => [time, index]))
  const lines = frames.flatMap((frame, number): Line[] => {
    const time = frame.fields.find(({ type }) => type === 'time')
    const numbers = frame.fields.filter(({ type }) => type === 'number')
    const texts = frame.fields.filter(({ type }) => type === 'text')
    const line = (field: Field, label: string, values: (number | null)[], row: number): Line => ({
      key: `${number}:${field.name}:${row}:${label}`,
      label,
      values,
      name: label,
      tags: field.labels ?? {},
      ...(field.ref ? { ref: field.ref } : {}),
    })
    if (time && !texts.length) {
      return numbers.map((field) => {
        const values: (number | null)[] = Array(times.length).fill(null)
        time.values.forEach((when, row) => {
          values[at.get(when as number) ?? 0] = (field.values[row] as number | null) ?? null
        })
        return line(field, field.name, values, 0)
      })
    }
    return Array.from({ length: rowsOf(frame) }, (_, row) => row).flatMap((row) => {
      const name = texts
        .map(({ values }) => values[row])
        .filter(Boolean)
        .join(' ')
      return numbers.map((field) =>
        line(
          field,
          numbers.length > 1 || !name ? `${name} ${field.name}`.trim() : name,
          [(field.values[row] as number | null) ?? null],
          row,
        ),
      )
    })
  })
  return { times: times.length ? times : [0], lines }
}
