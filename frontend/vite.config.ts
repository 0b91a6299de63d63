import { fileURLToPath } from 'node:url'
import tailwindcss from '@tailwindcss/vite'
import react from '@vitejs/plugin-react'
import { defineConfig } from 'vitest/config'
import { boundFirstLoad } from './first-load.ts'

export default defineConfig({
  plugins: [react(), tailwindcss(), boundFirstLoad()],
  resolve: { alias: { '@': fileURLToPath(new URL('./src', import.meta.url)) } },
  server: {
    proxy: { '/api': 'http://127.0.0.1:8080' },
    // The texts of docs/agents are shown in the app.
    fs: { allow: ['.', '../docs'] },
  },
  test: { environment: 'jsdom', include: ['src/**/*.test.{ts,tsx}'] },
})
