import type { KeyReceived } from '@/api/generated/types.gen'
import { timeAgo } from '@/lib/age'

/** Why samples or requests of a key were refused in the last day: reasons with their last example. */
export function Refusals({ refused, now }: { refused: KeyReceived['refused']; now: number }) {
  return (
    <table aria-label="Refused in the last day" className="stacked w-full text-left text-sm">
      <thead className="text-xs text-muted">
        <tr>
          {['Reason', 'Last example', 'Count', 'Last time'].map((heading) => (
            <th key={heading} className="py-1.5 pr-4 font-medium">
              {heading}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {(refused ?? []).map(({ reason, example, count, lastAt }) => (
          <tr key={reason} className="border-t border-line align-top">
            <td className="line py-1.5 pr-4">{reason}</td>
            <td className="py-1.5 pr-4 font-mono text-xs break-all" data-label="Last example">
              {example}
            </td>
            <td className="py-1.5 pr-4" data-label="Count">
              {count.toLocaleString('en-US')}
            </td>
            <td className="py-1.5 pr-4 whitespace-nowrap text-muted" data-label="Last time">
              {timeAgo(lastAt, now)}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}
