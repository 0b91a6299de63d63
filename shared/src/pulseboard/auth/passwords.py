"""Passwords, hashed by argon2id with the library's current parameters.

A hash takes 64 MiB: a process makes a few at once (`password_hashes`), and whoever would wait too
long is told to try again.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from threading import BoundedSemaphore
from unicodedata import normalize

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from pulseboard.core.exceptions import Unavailable
from pulseboard.core.process_state import on_reset
from pulseboard.core.settings import settings

WAIT = 2.0
"""Seconds that a caller waits for its turn."""


@lru_cache(maxsize=1)
def _hasher() -> PasswordHasher:
    return PasswordHasher()


@lru_cache(maxsize=1)
def _nobody() -> str:
    return _hasher().hash("a password that nobody has")


@lru_cache(maxsize=1)
def _turns() -> BoundedSemaphore:
    return BoundedSemaphore(settings().password_hashes)


on_reset(_turns.cache_clear)


@contextmanager
def _turn() -> Iterator[None]:
    turns = _turns()
    if not turns.acquire(timeout=WAIT):
        raise Unavailable("Many people sign in at this moment. Try again.", retry_after=1)
    try:
        yield
    finally:
        turns.release()


def hash_password(password: str) -> str:
    """The password in argon2's own encoded form, salt and parameters included.

    Raises Unavailable when too many others are hashed at this moment.
    """
    with _turn():
        return _hasher().hash(normalize("NFC", password))


def verify(password: str, password_hash: str | None) -> bool:
    """Whether the password is the one that was hashed.

    None takes as long as a wrong password, so that timing does not reveal who has an account.
    Raises Unavailable when too many others are hashed at this moment.
    """
    # Systems compose letters and accents differently. Older hashes are of what was typed.
    forms = (normalize("NFC", password), password, normalize("NFD", password))
    with _turn():
        matches = any(_is_hashed(form, password_hash or _nobody()) for form in dict.fromkeys(forms))
    return matches and password_hash is not None


def _is_hashed(password: str, password_hash: str) -> bool:
    try:
        return _hasher().verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False
