import { create } from 'zustand'

export type Theme = 'light' | 'dark' | 'system'
const KEY = 'pulseboard-theme'
const media = () => window.matchMedia('(prefers-color-scheme: dark)')

function shown(theme: Theme): 'light' | 'dark' {
  if (theme !== 'system') return theme
  return media().matches ? 'dark' : 'light'
}

function read(): Theme {
  const stored = localStorage.getItem(KEY)
  return stored === 'light' || stored === 'dark' ? stored : 'system'
}

type ThemeState = { theme: Theme; shown: 'light' | 'dark'; choose: (theme: Theme) => void }

export const useTheme = create<ThemeState>((set) => ({
  theme: read(),
  shown: shown(read()),
  choose: (theme) => {
    localStorage.setItem(KEY, theme)
    document.documentElement.dataset.theme = shown(theme)
    set({ theme, shown: shown(theme) })
  },
}))

media().addEventListener('change', () => {
  const { theme, choose } = useTheme.getState()
  if (theme === 'system') choose('system')
})
