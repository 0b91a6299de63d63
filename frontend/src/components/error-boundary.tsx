import { Component, type ReactNode } from 'react'
import { messageOf } from '@/lib/errors'
import { Failure } from './ui/controls'

type Props = {
  children: ReactNode
  onRetry?: () => void
  /** What the children show: after an error they are rendered again when it changes. */
  shown?: unknown
}
type State = { failed: boolean; error: unknown; shown: unknown }

/** Contains a rendering error and shows its message with a Retry button. */
export class ErrorBoundary extends Component<Props, State> {
  state: State = { failed: false, error: undefined, shown: this.props.shown }

  static getDerivedStateFromError(error: unknown): Partial<State> {
    return { failed: true, error }
  }

  static getDerivedStateFromProps(props: Props, state: State): Partial<State> | null {
    if (props.shown === state.shown) return null
    return { failed: false, error: undefined, shown: props.shown }
  }

  render() {
    if (!this.state.failed) return this.props.children
    return (
      <Failure
        message={`This can't be shown: ${messageOf(this.state.error)}`}
        onRetry={() => {
          this.setState({ failed: false, error: undefined })
          this.props.onRetry?.()
        }}
      />
    )
  }
}
