import { Minimize } from 'lucide-react'
import { type ReactNode, useEffect, useState } from 'react'
import { Button } from '@/components/ui/controls'
import { keepAwake } from '@/lib/keep-awake'
import { useShortcuts } from '@/lib/shortcuts'

/** A dashboard on a wall display: only its panels. The button to leave appears when the pointer moves. */
export function Kiosk({
  title,
  range,
  onLeave,
  children,
}: {
  title: string
  range: string
  onLeave: () => void
  children: ReactNode
}) {
  const [awake, setAwake] = useState(true)
  useShortcuts([
    { group: 'Dashboard', keys: 'Escape', label: 'Leave kiosk view', run: onLeave },
    { group: 'Dashboard', keys: 'd k', label: 'Leave kiosk view', run: onLeave },
  ])
  useEffect(() => {
    let timer = setTimeout(() => setAwake(false), 4000)
    const wake = () => {
      setAwake(true)
      clearTimeout(timer)
      timer = setTimeout(() => setAwake(false), 4000)
    }
    window.addEventListener('pointermove', wake)
    window.addEventListener('pointerdown', wake)
    window.addEventListener('keydown', wake)
    return () => {
      clearTimeout(timer)
      window.removeEventListener('pointermove', wake)
      window.removeEventListener('pointerdown', wake)
      window.removeEventListener('keydown', wake)
    }
  }, [])
  useEffect(keepAwake, [])
  return (
    <div className={awake ? '' : 'cursor-none'}>
      <title>{`${title} · Pulseboard`}</title>
      <header className="mb-3 flex items-baseline gap-3">
        <h1 className="text-lg font-semibold tracking-tight">{title}</h1>
        <p className="text-muted">{range}</p>
      </header>
      <Button
        className={`fixed top-2 right-3 z-40 transition-opacity focus-visible:opacity-100 ${awake ? '' : 'opacity-0'}`}
        onClick={onLeave}
      >
        <Minimize size={15} aria-hidden="true" /> Leave kiosk view
      </Button>
      {children}
    </div>
  )
}
