import { Component, type ReactNode } from 'react'
import { messageOf } from '@/lib/errors'
import { Failure } from './ui/controls'

type Props = { children: ReactNode; onRetry?: () => void }

/** Contains a rendering error and shows its message with a Retry button. */
export class ErrorBoundary extends Component<Props, { error: unknown }> {
  state = { error: undefined as unknown }

  static getDerivedStateFromError(error: unknown) {
    return { error }
  }

  render() {
    if (this.state.error === undefined) return this.props.children
    return (
      <Failure
        message={messageOf(this.state.error)}
        onRetry={() => {
          this.setState({ error: undefined })
          this.props.onRetry?.()
        }}
      />
    )
  }
}
