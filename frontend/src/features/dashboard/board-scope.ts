import { type Scope, single } from '@/lib/variables'

type Viewer = { id: string; email: string } | undefined

/** The variables with those that every dashboard has: its name, and who looks at it. */
export function boardScopeOf(scope: Scope, name: string, viewer: Viewer): Scope {
  const found = new Map(scope).set('__dashboard', single(name))
  if (!viewer) return found
  return found
    .set('__user', single(viewer.email))
    .set('__user.id', single(viewer.id))
    .set('__user.login', single(viewer.email))
    .set('__user.email', single(viewer.email))
}
