import { gzipSync } from 'node:zlib'
import type { Plugin } from 'vite'

/** The most bytes of scripts, gzipped, that the first visit of a dashboard loads. */
const LIMIT = 250_000
/** What a dashboard with charts over time loads: the app, its page, and the chart. */
const LOADED = [
  '/src/main.tsx',
  '/index.html',
  '/routes/dashboard-page.tsx',
  '/charts/time-chart.tsx',
]

/** Fails the build when the first load grows beyond its limit, and names the largest files. */
export function boundFirstLoad(): Plugin {
  return {
    name: 'bound-first-load',
    apply: 'build',
    generateBundle(_options, bundle) {
      const chunks = Object.values(bundle).filter((file) => file.type === 'chunk')
      const byName = new Map(chunks.map((chunk) => [chunk.fileName, chunk]))
      const loaded = new Set<string>()
      const load = (name: string) => {
        if (loaded.has(name)) return
        loaded.add(name)
        for (const other of byName.get(name)?.imports ?? []) load(other)
      }
      for (const path of LOADED) {
        const chunk = chunks.find(
          ({ facadeModuleId, moduleIds }) =>
            facadeModuleId?.endsWith(path) || moduleIds.some((id) => id.endsWith(path)),
        )
        if (!chunk) throw new Error(`${path} is in no file of the build: see first-load.ts`)
        load(chunk.fileName)
      }
      const sizes = [...loaded]
        .map((name) => ({
          name,
          size: gzipSync(byName.get(name)?.code ?? '', { level: 9 }).length,
        }))
        .sort((one, other) => other.size - one.size)
      const total = sizes.reduce((sum, { size }) => sum + size, 0)
      const text = `a dashboard's first load: ${(total / 1000).toFixed(1)} kB of scripts, gzipped`
      if (total <= LIMIT) return this.info(text)
      const largest = sizes.slice(0, 12).map(({ name, size }) => `\n  ${size} ${name}`)
      this.error(`${text}, of at most ${LIMIT / 1000} kB. The largest:${largest.join('')}`)
    },
  }
}
