"""The statement timeout, on a server with several processes: the embedded one has none."""

from typing import Any

import psycopg
import pytest

from pulseboard.db.statement_timeout import set_statement_timeout

pytestmark = pytest.mark.integration


def sleep(connection: psycopg.Connection[Any], *, seconds: float) -> None:
    with connection.pipeline():
        set_statement_timeout(connection, seconds=seconds)
        connection.execute("select 1").fetchone()
        connection.execute("select pg_sleep(30)").fetchone()


def test_a_statement_is_cancelled_and_the_next_user_of_the_connection_has_no_timeout(
    plain_database: str,
) -> None:
    with psycopg.connect(plain_database, autocommit=True, prepare_threshold=None) as connection:
        with pytest.raises(psycopg.errors.QueryCanceled):
            sleep(connection, seconds=0.05)
        assert connection.execute("show statement_timeout").fetchone() == ("0",)


def test_statements_with_a_timeout_are_not_compiled(plain_database: str) -> None:
    with psycopg.connect(plain_database, autocommit=True, prepare_threshold=None) as connection:
        connection.execute("set jit = on; set jit_above_cost = 0")
        query = "explain (analyze, format json) select sum(n) from generate_series(1, 10) as s (n)"
        with connection.transaction():
            compiled = connection.execute(query).fetchone()
        with connection.transaction():
            set_statement_timeout(connection, seconds=10)
            plain = connection.execute(query).fetchone()
    assert compiled is not None
    assert plain is not None
    assert ("JIT" in compiled[0][0], "JIT" in plain[0][0]) == (True, False)
