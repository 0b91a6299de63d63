import DOMPurify from 'dompurify'
import { marked } from 'marked'
import { useMemo } from 'react'
import type { Panel } from '@/api/generated/types.gen'
import './text-panel.css'

/** A link to another host says which: whoever wrote its text may want to mislead. */
function showHosts(content: DocumentFragment) {
  for (const link of content.querySelectorAll('a[href]')) {
    const href = link.getAttribute('href') ?? ''
    if (!URL.canParse(href, window.location.href)) continue
    const target = new URL(href, window.location.href)
    if (target.host === window.location.host) continue
    link.setAttribute('rel', 'noopener noreferrer')
    link.setAttribute('target', '_blank')
    const shown = target.host || target.pathname
    if (link.textContent !== shown && link.textContent !== target.href) link.append(` (${shown})`)
  }
}

/** The HTML of a text; one that is nested too deeply for the parser is shown as it was written. */
function parsed(text: string): string {
  try {
    return marked.parse(text, { async: false, gfm: true, breaks: true })
  } catch (error) {
    // The stack has no room left.
    if (!(error instanceof RangeError)) throw error
    const written = document.createElement('pre')
    written.textContent = text
    return written.outerHTML
  }
}

/** Text in Markdown. What it holds of HTML is sanitised; it can't run anything. */
export default function TextPanel({ panel }: { panel: Panel }) {
  const { content } = panel.options
  const html = useMemo(() => {
    const safe = DOMPurify.sanitize(parsed(content ?? ''), {
      FORBID_TAGS: ['style', 'form', 'input', 'button', 'iframe'],
      FORBID_ATTR: ['style', 'class', 'id'],
      RETURN_DOM_FRAGMENT: true,
    })
    showHosts(safe)
    const box = document.createElement('div')
    box.append(safe)
    return box.innerHTML
  }, [content])
  return (
    <section
      className="text-panel h-full overflow-auto"
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard
      tabIndex={0}
      aria-label={panel.title || 'Text'}
      dangerouslySetInnerHTML={{ __html: html }}
    />
  )
}
