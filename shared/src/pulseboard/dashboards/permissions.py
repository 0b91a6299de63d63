"""Who may do what with a dashboard.

| who                           | read      | edit, share, restore, delete |
| ----------------------------- | --------- | ---------------------------- |
| its owner, as editor or admin | yes       | yes                          |
| its owner, as viewer          | yes       | no                           |
| an admin in person            | yes       | yes                          |
| anyone else                   | if public | no                           |

An API key acts for its owner, with its scopes: it edits its owner's dashboards with the scope
`write`, and is never an admin. Functions of the caller and the dashboard only, without I/O.
"""

from typing import Protocol
from uuid import UUID


class Caller(Protocol):
    """What is needed of `pulseboard.auth.access.Principal`."""

    @property
    def user_id(self) -> UUID:
        """The user, or the owner of the key."""

    @property
    def is_admin(self) -> bool:
        """Whether this is a session of an admin; a key never is."""

    @property
    def can_write(self) -> bool:
        """Whether this is an editor, an admin or a key with the scope `write`."""


class Owned(Protocol):
    """What is needed of a dashboard."""

    @property
    def owner_id(self) -> UUID:
        """Its owner."""

    @property
    def is_public(self) -> bool:
        """Whether everyone who is signed in may read it."""


def can_read(caller: Caller, dashboard: Owned) -> bool:
    """Whether the caller may read, export and duplicate the dashboard and see its history.

    Of the history only what was public: see `can_read_private_versions`.

    `dashboards.store.list_dashboards` applies the same rule in SQL.
    """
    return dashboard.is_public or _is_owner(caller, dashboard) or sees_all(caller)


def can_read_private_versions(caller: Caller, dashboard: Owned) -> bool:
    """Whether the caller may also read what the dashboard was while it was private."""
    return _is_owner(caller, dashboard) or sees_all(caller)


def can_edit(caller: Caller, dashboard: Owned) -> bool:
    """Whether the caller may change, share (make public), restore or delete the dashboard."""
    return caller.can_write and (_is_owner(caller, dashboard) or caller.is_admin)


def sees_all(caller: Caller) -> bool:
    """Whether the caller may read every dashboard, private ones of others included."""
    return caller.is_admin


def _is_owner(caller: Caller, dashboard: Owned) -> bool:
    return dashboard.owner_id == caller.user_id
