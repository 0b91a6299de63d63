import { Link } from '@tanstack/react-router'

/** How the first numbers get here: the agent, or one request. */
export function AddData() {
  const url = window.location.origin
  return (
    <div className="text-left text-sm">
      <p className="mb-2">
        To send metrics, make an{' '}
        <Link to="/api-keys" className="text-accent underline">
          API key
        </Link>
        , then run the agent on each host:
      </p>
      <Snippet label="Agent command">{`pulseboard agent --url ${url} --key pb_…`}</Snippet>
      <p className="mt-3 mb-2">or post a number of your own:</p>
      <Snippet label="Request">{`curl ${url}/api/v1/metrics \\
  -H 'Authorization: Bearer pb_…' \\
  -H 'Content-Type: application/json' \\
  -d '{"name": "orders_total", "value": 42}'`}</Snippet>
    </div>
  )
}

function Snippet({ label, children }: { label: string; children: string }) {
  return (
    <section
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard
      tabIndex={0}
      aria-label={label}
      className="overflow-x-auto rounded-md bg-raised p-3 text-xs text-text select-all"
    >
      <pre>{children}</pre>
    </section>
  )
}
