"""Who may do what with a dashboard, as a table."""

from dataclasses import dataclass
from uuid import UUID, uuid4

import pytest

from pulseboard.auth.access import Principal
from pulseboard.contracts.vocabulary import Role, Scope
from pulseboard.dashboards import permissions

ANNA, BEN = uuid4(), uuid4()


@dataclass(frozen=True)
class Board:
    owner_id: UUID
    is_public: bool


def person(user_id: UUID, role: Role) -> Principal:
    return Principal(user_id=user_id, role=role, email="someone@example.com")


def key(user_id: UUID, role: Role, *scopes: Scope) -> Principal:
    return Principal(
        user_id=user_id,
        role=role,
        email="someone@example.com",
        key_id=uuid4(),
        scopes=frozenset(scopes),
    )


VIEWER, EDITOR, ADMIN = Role.VIEWER, Role.EDITOR, Role.ADMIN
READ, WRITE = Scope.READ, Scope.WRITE


@pytest.mark.parametrize(
    ("caller", "owner", "public", "reads", "edits"),
    [
        # One's own
        (person(ANNA, VIEWER), ANNA, False, True, False),
        (person(ANNA, EDITOR), ANNA, False, True, True),
        (person(ANNA, ADMIN), ANNA, False, True, True),
        (key(ANNA, EDITOR, READ), ANNA, False, True, False),
        (key(ANNA, EDITOR, WRITE), ANNA, False, True, True),
        # Another's, private
        (person(ANNA, VIEWER), BEN, False, False, False),
        (person(ANNA, EDITOR), BEN, False, False, False),
        (person(ANNA, ADMIN), BEN, False, True, True),
        (key(ANNA, EDITOR, READ, WRITE), BEN, False, False, False),
        # A key is never an admin, even an admin's.
        (key(ANNA, ADMIN, READ, WRITE), BEN, False, False, False),
        # Another's, public
        (person(ANNA, VIEWER), BEN, True, True, False),
        (person(ANNA, EDITOR), BEN, True, True, False),
        (person(ANNA, ADMIN), BEN, True, True, True),
        (key(ANNA, EDITOR, READ), BEN, True, True, False),
        (key(ANNA, EDITOR, WRITE), BEN, True, True, False),
        (key(ANNA, ADMIN, WRITE), BEN, True, True, False),
    ],
)
def test_reading_and_editing(
    caller: Principal, owner: UUID, public: bool, reads: bool, edits: bool
) -> None:
    board = Board(owner_id=owner, is_public=public)
    assert permissions.can_read(caller, board) is reads
    assert permissions.can_edit(caller, board) is edits


@pytest.mark.parametrize(
    ("caller", "all_of_them"),
    [
        (person(ANNA, VIEWER), False),
        (person(ANNA, EDITOR), False),
        (person(ANNA, ADMIN), True),
        (key(ANNA, ADMIN, READ), False),
    ],
)
def test_only_an_admin_in_person_sees_all(caller: Principal, all_of_them: bool) -> None:
    assert permissions.sees_all(caller) is all_of_them
