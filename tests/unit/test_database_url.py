"""The database's address, put together from a setting and a secret."""

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
from moto import mock_aws

from pulseboard.core.settings import settings
from pulseboard.db import database_url
from pulseboard.db.database_url import resolve, verified, with_password

URL = "postgresql://pulseboard@database.internal:6432/pulseboard?sslmode=require"
PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


def test_a_password_goes_into_the_url_quoted() -> None:
    assert with_password(URL, '{"username": "pulseboard", "password": "a/b@c:d?"}') == (
        "postgresql://pulseboard:a%2Fb%40c%3Ad%3F@database.internal:6432/pulseboard?sslmode=require"
    )


def test_a_url_stands_for_itself() -> None:
    whole = "postgres://me:secret@host:5432/db"
    assert with_password(URL, whole) == whole


@pytest.mark.parametrize("secret", ["", "hunter2", "{}", "[]", '{"user": "x"}'])
def test_anything_else_is_refused_without_being_shown(secret: str) -> None:
    with pytest.raises(ValueError, match="postgresql:// URL or JSON") as caught:
        with_password(URL, secret)
    assert "hunter2" not in str(caught.value)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """S3 with what the instance writes there."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("DATABASE_URL", "postgresql://pulseboard@database.internal:6432/pulseboard")
    monkeypatch.setenv("PULSEBOARD_DATABASE_CREDENTIALS", "s3://credentials/database.json")
    settings.cache_clear()
    database_url.reset()
    database_url.client.cache_clear()
    with mock_aws():
        boto3.client("s3").create_bucket(Bucket="credentials")
        yield
    settings.cache_clear()
    database_url.reset()
    database_url.client.cache_clear()


def _put(**value: str) -> None:
    boto3.client("s3").put_object(
        Bucket="credentials", Key="database.json", Body=json.dumps(value).encode()
    )


def test_password_and_certificate_come_from_the_bucket_and_are_cached(bucket: None) -> None:
    _put(username="pulseboard", password="one", ca=PEM)
    parts = urlsplit(resolve())
    query = parse_qs(parts.query)
    assert (parts.username, parts.password) == ("pulseboard", "one")
    assert query["sslmode"] == ["verify-full"]
    assert Path(query["sslrootcert"][0]).read_text() == PEM
    _put(username="pulseboard", password="two", ca=PEM)
    assert urlsplit(resolve()).password == "one"
    database_url.reset()
    assert urlsplit(resolve()).password == "two"


def test_a_database_that_can_not_be_verified_is_not_connected_to(bucket: None) -> None:
    _put(username="pulseboard", password="one")
    with pytest.raises(ValueError, match="no `ca`"):
        resolve()


def test_each_certificate_has_a_file_of_its_own() -> None:
    first, second = (verified("postgresql://h/d?x=1", PEM + extra) for extra in ("", "\n"))
    assert first != second
    assert first.startswith("postgresql://h/d?x=1&sslmode=verify-full&sslrootcert=")
