import { z } from 'zod'

// Zod would try to compile validators with eval, which our content security policy refuses.
z.config({ jitless: true })
