"""Passwords, hashed by argon2id with the library's current parameters."""

from functools import lru_cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError


@lru_cache(maxsize=1)
def _hasher() -> PasswordHasher:
    return PasswordHasher()


@lru_cache(maxsize=1)
def _nobody() -> str:
    return _hasher().hash("a password that nobody has")


def hash_password(password: str) -> str:
    """The password in argon2's own encoded form, salt and parameters included."""
    return _hasher().hash(password)


def verify(password: str, password_hash: str | None) -> bool:
    """Whether the password is the one that was hashed.

    None takes as long as a wrong password, so that timing does not reveal who has an account.
    """
    try:
        matches = _hasher().verify(password_hash or _nobody(), password)
    except (VerificationError, InvalidHashError):
        return False
    return matches and password_hash is not None
