import { config } from 'zod/v4/core'

// Zod would try to compile validators with eval, which our content security policy refuses.
config({ jitless: true })
