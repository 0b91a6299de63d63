import { useState } from 'react'
import { Area } from '@/components/ui/controls'
import { useTypedText } from '@/lib/use-typed-text'

type Json = Record<string, unknown>

function read(text: string): Json | undefined {
  try {
    const found: unknown = JSON.parse(text)
    return typeof found === 'object' && found !== null && !Array.isArray(found)
      ? (found as Json)
      : undefined
  } catch {
    return undefined
  }
}

/**
 * An object as JSON. While the text is none, the last one that was stays, and the field says so.
 */
export function JsonField({
  label,
  value,
  onChange,
}: {
  label: string
  value: Json
  onChange: (value: Json) => void
}) {
  const [wrong, setWrong] = useState<string>()
  const [text, setText] = useTypedText(
    value,
    (typed) => read(typed) ?? value,
    (given) => JSON.stringify(given, null, 2),
  )
  return (
    <Area
      label={label}
      className="min-h-32 font-mono text-xs"
      spellCheck={false}
      value={wrong ?? text}
      error={wrong === undefined ? undefined : 'This is no JSON object: the last one is kept.'}
      onChange={(event) => {
        const typed = event.target.value
        const found = read(typed)
        setWrong(found ? undefined : typed)
        if (!found) return
        setText(typed)
        onChange(found)
      }}
    />
  )
}
