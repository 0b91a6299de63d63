"""The database's URL, password included: from the environment, from an object of S3 that the
database's instance writes, or from Secrets Manager.
"""

import json
import os
import tempfile
import threading
import time
from collections.abc import Callable
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
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

    Raises botocore's errors when AWS does not respond, ValueError for a secret that is neither a
    URL nor JSON with a `password`.
    """
    configured = settings()
    url = configured.database_url.get_secret_value()
    if configured.database_credentials is not None:
        text = _read(configured.database_credentials, _from_bucket)
        return verified(with_password(url, text), json.loads(text).get("ca"))
    if configured.database_secret is not None:
        return with_password(url, _read(configured.database_secret, _from_secrets_manager))
    return url


def verified(url: str, certificates: str | None) -> str:
    """`url`, by which nothing is sent before the server has shown one of these certificates, in
    PEM. libpq reads them from a file, which is made where it is missing.
    """
    if not certificates:
        raise ValueError("the database credentials have no `ca` to verify the database by")
    name = f"pulseboard-ca-{sha256(certificates.encode()).hexdigest()[:16]}.pem"
    file = Path(tempfile.gettempdir()) / name
    if not file.exists():
        # Whole or not at all: another thread may read it at once.
        handle, scratch = tempfile.mkstemp(dir=file.parent)
        with os.fdopen(handle, "w", encoding="ascii") as opened:
            opened.write(certificates)
        Path(scratch).replace(file)
    separator = "&" if urlsplit(url).query else "?"
    return f"{url}{separator}sslmode=verify-full&sslrootcert={quote(str(file))}"


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


@lru_cache(maxsize=2)
def client(service: str) -> Any:
    """AWS's client; created before a snapshot, since creating it is slow."""
    import boto3
    from botocore.config import Config

    return boto3.client(
        service,
        config=Config(connect_timeout=2, read_timeout=3, retries={"max_attempts": 2}),
    )


@on_snapshot
def _prepare_client() -> None:
    configured = settings()
    if configured.database_credentials is not None:
        client("s3")
    elif configured.database_secret is not None:
        client("secretsmanager")


def _read(name: str, read: Callable[[str], str]) -> str:
    global _cached
    with _lock:
        if _cached is None or not is_fresh(_cached[0], CACHE_SECONDS):
            _cached = (time.time(), read(name))
        return _cached[1]


def _from_secrets_manager(name: str) -> str:
    return str(client("secretsmanager").get_secret_value(SecretId=name)["SecretString"])


def _from_bucket(address: str) -> str:
    parts = urlsplit(address)
    response = client("s3").get_object(Bucket=parts.netloc, Key=parts.path.lstrip("/"))
    return bytes(response["Body"].read()).decode()
