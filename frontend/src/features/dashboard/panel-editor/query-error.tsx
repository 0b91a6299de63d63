import type { ApiError } from '@/api/generated/types.gen'

/** What is wrong with a query, with the position underlined if the server gives one. */
export function QueryError({ id, query, error }: { id: string; query: string; error: ApiError }) {
  const detail =
    error.details?.find((one) => typeof one.position === 'number') ?? error.details?.[0]
  const position = detail?.position
  const rest = typeof position === 'number' ? query.slice(position) : ''
  const wrong = /^([\w:.]+|\s*\S?)/.exec(rest)?.[0] ?? ''
  return (
    <div id={id} role="alert" className="mt-1.5 text-xs text-danger">
      {typeof position === 'number' && position <= query.length && (
        <code className="block overflow-x-auto whitespace-pre text-text">
          {query.slice(0, position)}
          <mark className="bg-danger/15 text-danger underline decoration-wavy underline-offset-4">
            {wrong || ' '}
          </mark>
          {rest.slice(wrong.length)}
        </code>
      )}
      <span>{detail?.message ?? error.error}</span>
      {typeof position === 'number' && <span> (at character {position + 1})</span>}
      {detail?.hint && <span className="block text-muted">{detail.hint}</span>}
    </div>
  )
}
