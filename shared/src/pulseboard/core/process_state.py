"""A registry of process-wide state, and how to reset it.

A module with state at module level (a connection, a cache, a memoised setting) registers a function
that resets it, so that a snapshot of a Lambda environment and each test start without any:

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
    """Register a function that resets a module's state. Usable as a decorator."""
    _resets.append(hook)
    return hook


def on_snapshot(hook: Hook) -> Hook:
    """Register a function to call before a snapshot is taken, after the reset."""
    _preparations.append(hook)
    return hook


def on_restore(hook: Hook) -> Hook:
    """Register a function to call in each environment that is restored from a snapshot."""
    _restores.append(hook)
    return hook


def reset() -> None:
    """Reset all registered state."""
    for hook in _resets:
        hook()


def prepare_snapshot() -> None:
    """Reset all state, then run the preparations whose result the snapshot should contain."""
    reset()
    for hook in _preparations:
        hook()


def restored() -> None:
    """Run what a restored environment must do for itself."""
    for hook in _restores:
        hook()
