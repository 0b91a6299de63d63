"""The database's URL, password included: from the environment, or from Secrets Manager."""

import json
import threading
import time
from functools import lru_cache
from typing import Any
from urllib.parse import quote, urlsplit

from pulseboard.core.freshness import is_fresh
from pulseboard.core.process_state import on_reset, on_restore, on_snapshot
from pulseboard.core.settings import settings

CACHE_SECONDS = 60.0
"""How long a secret is cached: a rotated password takes effect within this time."""

_lock = threading.Lock()
_cached: tuple[float, str] | None = None


def resolve() -> str:
    """The libpq URL. Called for each new connection.

    Raises botocore's errors when Secrets Manager does not respond, ValueError for a secret that is
    neither a URL nor JSON with a `password`.
    """
    configured = settings()
    url = configured.database_url.get_secret_value()
    if configured.database_secret is None:
        return url
    return with_password(url, _read(configured.database_secret))


def with_password(url: str, secret: str) -> str:
    """The secret itself when it is a URL; else `url` with the secret's password in it."""
    if secret.startswith(("postgres://", "postgresql://")):
        return secret
    try:
        password = json.loads(secret)["password"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            "the database secret must be a postgresql:// URL or JSON with a password"
        ) from error
    parts = urlsplit(url)
    user = parts.username or "pulseboard"
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{user}:{quote(password, safe='')}@{host}").geturl()


@on_restore
@on_reset
def reset() -> None:
    """Drop the cached secret: after a snapshot, and between tests."""
    global _cached
    with _lock:
        _cached = None


@lru_cache(maxsize=1)
def client() -> Any:
    """Secrets Manager's client; created before a snapshot, since creating it is slow."""
    import boto3
    from botocore.config import Config

    return boto3.client(
        "secretsmanager",
        config=Config(connect_timeout=2, read_timeout=3, retries={"max_attempts": 2}),
    )


@on_snapshot
def _prepare_client() -> None:
    if settings().database_secret is not None:
        client()


def _read(name: str) -> str:
    global _cached
    with _lock:
        if _cached is None or not is_fresh(_cached[0], CACHE_SECONDS):
            response = client().get_secret_value(SecretId=name)
            _cached = (time.time(), str(response["SecretString"]))
        return _cached[1]
