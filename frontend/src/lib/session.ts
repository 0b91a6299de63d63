import { create } from 'zustand'

type SessionState = { ended: boolean; end: () => void; resume: () => void }

/** Whether the session has ended while a page was open. The page stays: signing in goes on with it. */
export const useSession = create<SessionState>((set) => ({
  ended: false,
  end: () => set({ ended: true }),
  resume: () => set({ ended: false }),
}))
