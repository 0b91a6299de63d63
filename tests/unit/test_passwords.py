"""Passwords: the same letters are the same password, however a system composes them."""

import unicodedata

import pytest
from argon2 import PasswordHasher

from pulseboard.auth import passwords

COMPOSED = "Übermäßig-sicher-é"
DECOMPOSED = unicodedata.normalize("NFD", COMPOSED)


@pytest.mark.parametrize("chosen", [COMPOSED, DECOMPOSED])
@pytest.mark.parametrize("typed", [COMPOSED, DECOMPOSED])
def test_accents_may_be_composed_otherwise(chosen: str, typed: str) -> None:
    assert COMPOSED != DECOMPOSED
    assert passwords.verify(typed, passwords.hash_password(chosen))
    # As it was hashed before: what was typed.
    assert passwords.verify(typed, PasswordHasher().hash(chosen))


def test_other_letters_are_another_password() -> None:
    hashed = passwords.hash_password(COMPOSED)
    assert not passwords.verify(COMPOSED.replace("é", "e"), hashed)
    assert not passwords.verify(COMPOSED, None)
