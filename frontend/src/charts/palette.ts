/** Colours safe for colour-blind eyes (after Okabe and Ito), one set a theme, in CSS variables. */
export const PALETTE_SIZE = 8

const NAMED: Record<string, number> = {
  blue: 1,
  orange: 2,
  green: 3,
  pink: 4,
  yellow: 5,
  sky: 6,
  purple: 7,
  grey: 8,
  red: 2,
}

/** The CSS value of a colour by name, `#rrggbb`, or place in the palette. */
export function colorOf(index: number, chosen?: string | null): string {
  if (chosen?.startsWith('#')) return chosen
  const place = chosen ? NAMED[chosen] : undefined
  return `var(--series-${place ?? (index % PALETTE_SIZE) + 1})`
}

/** The same as a canvas needs it: without variables. */
export function resolveColor(css: string): string {
  const name = /^var\((--[\w-]+)\)$/.exec(css)?.[1]
  if (!name) return css
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim() || '#888888'
}
