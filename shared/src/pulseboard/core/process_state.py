"""What a process keeps between requests, and how all of it is dropped.

Whoever keeps anything at module level (a connection, a cache, a memoised setting) registers how
to drop it, so that a snapshot of a Lambda environment and a test both start from nothing:

    @on_reset
    def reset() -> None:
        _cached.clear()
"""

from collections.abc import Callable
from typing import TypeVar

Hook = TypeVar("Hook", bound=Callable[[], object])

_resets: list[Callable[[], object]] = []
_preparations: list[Callable[[], object]] = []
_restores: list[Callable[[], object]] = []


def on_reset(hook: Hook) -> Hook:
    """Register what drops a module's state; returned, so that it can decorate."""
    _resets.append(hook)
    return hook


def on_snapshot(hook: Hook) -> Hook:
    """Register what is worth doing once before a snapshot is taken, after the reset."""
    _preparations.append(hook)
    return hook


def on_restore(hook: Hook) -> Hook:
    """Register what each copy of a snapshot must do for itself."""
    _restores.append(hook)
    return hook


def reset() -> None:
    """Drop all registered state."""
    for hook in _resets:
        hook()


def prepare_snapshot() -> None:
    """Drop all state, then do what is worth having in the snapshot."""
    reset()
    for hook in _preparations:
        hook()


def restored() -> None:
    """Make this copy of a snapshot differ from the others."""
    for hook in _restores:
        hook()
