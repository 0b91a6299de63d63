/** Colours safe for colour-blind eyes. The first palette (after Okabe and Ito) lives in CSS
 * variables, one set per theme; the others, after Paul Tol and the viridis family, are pairs here. */

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
export const COLOR_NAMES = ['blue', 'orange', 'green', 'pink', 'yellow', 'sky', 'purple', 'grey']

type Palette = { label: string; colors: string[] }

const same = (...colors: string[]) => colors
const pair = (light: string, dark: string) => `light-dark(${light}, ${dark})`

export const PALETTES: Record<string, Palette> = {
  standard: {
    label: 'Standard',
    colors: [1, 2, 3, 4, 5, 6, 7, 8].map((slot) => `var(--series-${slot})`),
  },
  bright: {
    label: 'Bright',
    colors: [
      pair('#3b6a9c', '#6ea3d8'),
      pair('#d3475a', '#ff8b98'),
      pair('#1d762c', '#55c468'),
      pair('#8a7a10', '#e0cf5a'),
      pair('#2389ad', '#7fd6f5'),
      pair('#aa3377', '#e57fb8'),
    ],
  },
  vibrant: {
    label: 'Vibrant',
    colors: [
      pair('#0067ad', '#4fb0f5'),
      pair('#c2571a', '#ff9355'),
      pair('#00796d', '#2fc4b2'),
      pair('#cc2f6c', '#ff7fb0'),
      pair('#1c86ad', '#66ccee'),
      pair('#b02a12', '#ff6f55'),
      pair('#6b6b6b', '#bbbbbb'),
    ],
  },
  viridis: {
    label: 'Viridis (in order)',
    colors: same('#5b3a8e', '#4a6aa5', '#35839a', '#2a9d7f', '#4faf5c', '#7d9f1c', '#a08c00').map(
      (color, slot) =>
        pair(
          color,
          ['#a58be0', '#7fa3e0', '#5dbccf', '#45cfa5', '#7ddc7d', '#c0e04a', '#fde725'][slot] ??
            color,
        ),
    ),
  },
  blues: {
    label: 'Blues (in order)',
    colors: [
      pair('#08306b', '#deebf7'),
      pair('#08519c', '#b9d6ec'),
      pair('#2171b5', '#91c3e2'),
      pair('#3987bf', '#68abd6'),
      pair('#5a9fcc', '#4a94c9'),
    ],
  },
}

export const PALETTE_SIZE = 8

/** The CSS value of a colour by name, `#rrggbb`, or index in a palette. */
export function colorOf(index: number, chosen?: string | null, palette?: string | null): string {
  if (chosen?.startsWith('#')) return chosen
  const slot = chosen ? NAMED[chosen] : undefined
  if (slot) return `var(--series-${slot})`
  const colors = (PALETTES[palette ?? 'standard'] ?? PALETTES.standard)?.colors ?? []
  return colors[index % colors.length] ?? 'var(--series-1)'
}

/** The same for a canvas, which does not know CSS variables. */
export function resolveColor(css: string): string {
  const root = document.documentElement
  const both = /^light-dark\((#\w+), (#\w+)\)$/.exec(css)
  if (both) return (root.dataset.theme === 'dark' ? both[2] : both[1]) ?? '#888888'
  const name = /^var\((--[\w-]+)\)$/.exec(css)?.[1]
  if (!name) return css
  return getComputedStyle(root).getPropertyValue(name).trim() || '#888888'
}
