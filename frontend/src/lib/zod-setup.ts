// Zod would try to compile validators with eval, which our content security policy refuses. Set
// before it loads, and not by its `config`: that would bring it into the first load.
Object.assign(globalThis, { __zod_globalConfig: { jitless: true } })
