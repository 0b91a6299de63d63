"""The database's address, put together from a setting and a secret."""

import pytest

from pulseboard.db.database_url import with_password

URL = "postgresql://pulseboard@database.internal:6432/pulseboard?sslmode=require"


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
