import { useEffect, useState } from 'react'
import type { Pattern } from './re2-pattern'

type Engine = Pick<typeof import('./re2-pattern'), 'patternOf' | 'patternError'>

/**
 * The patterns of users, whose engine is loaded when the first one is: most dashboards have none,
 * and their first load does without it.
 */
type PatternOf = (source: string, flags?: string) => Pattern | null

let engine: Engine | undefined
let coming: Promise<PatternOf> | undefined

export function loadPatterns(): Promise<PatternOf> {
  coming ??= import('./re2-pattern').then(
    (loaded) => {
      engine = loaded
      return loaded.patternOf
    },
    (error: unknown) => {
      // The next one to need it tries again.
      coming = undefined
      throw error
    },
  )
  return coming
}

/** A pattern, or null where it is none. Whoever asks has loaded the engine before. */
export const patternOf: PatternOf = (source, flags) => {
  if (!engine) throw new Error('The engine of patterns is not loaded.')
  return engine.patternOf(source, flags)
}

/** Why a text is no pattern; undefined where it is one, or while the engine is not loaded. */
export const patternError = (source: string): string | undefined => engine?.patternError(source)

/** Whether patterns can be matched; where they are `needed`, they are loaded. */
export function usePatterns(needed: boolean): boolean {
  const [ready, setReady] = useState(engine !== undefined)
  useEffect(() => {
    if (!needed || ready) return
    let here = true
    loadPatterns().then(
      () => here && setReady(true),
      () => undefined,
    )
    return () => {
      here = false
    }
  }, [needed, ready])
  return ready
}
