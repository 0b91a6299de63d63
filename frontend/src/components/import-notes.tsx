import { useState } from 'react'
import type { ImportNote } from '@/api/generated/types.gen'
import { Select } from '@/components/ui/controls'

const OUTCOMES: [ImportNote['outcome'], string][] = [
  ['dropped', 'Not imported'],
  ['changed', 'Changed'],
  ['taken', 'Imported unchanged'],
]

/** Notes that share a reason, or a panel, in the order of the first of each. */
export function groupedNotes(
  notes: ImportNote[],
  by: 'reason' | 'place',
): [name: string, ImportNote[]][] {
  const groups = new Map<string, ImportNote[]>()
  for (const note of notes) {
    const name = by === 'place' ? note.place : note.reason || note.message
    const group = groups.get(name)
    if (group) group.push(note)
    else groups.set(name, [note])
  }
  return [...groups]
}

/** What an import did to each part of a file: by reason, or by panel. */
export function ImportNotes({ report }: { report: ImportNote[] }) {
  const [by, setBy] = useState<'reason' | 'place'>('reason')
  return (
    <>
      <Select
        label="Group by"
        className="mt-3"
        value={by}
        onChange={(event) => setBy(event.target.value as typeof by)}
      >
        <option value="reason">By reason</option>
        <option value="place">By panel</option>
      </Select>
      <div className="mt-3 max-h-[50vh] space-y-4 overflow-y-auto">
        {OUTCOMES.map(([outcome, title]) => {
          const notes = report.filter((note) => note.outcome === outcome)
          if (!notes.length) return null
          return (
            <section key={outcome} aria-label={title}>
              <h3 className="text-sm font-medium">
                {title} ({notes.length})
              </h3>
              {groupedNotes(notes, by).map(([name, same]) => (
                <details key={name} className="border-b border-line py-1.5 text-sm">
                  <summary className="cursor-pointer">
                    {by === 'reason' && same.length === 1
                      ? (same[0]?.message ?? name)
                      : `${name} (${same.length})`}
                  </summary>
                  <ul className="mt-1 space-y-1 pl-4">
                    {same.map((note, index) => (
                      <li key={index}>
                        {by === 'reason' && <span className="text-muted">{note.place}: </span>}
                        {note.message}
                      </li>
                    ))}
                  </ul>
                </details>
              ))}
            </section>
          )
        })}
      </div>
    </>
  )
}
