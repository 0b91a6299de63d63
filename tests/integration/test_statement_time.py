"""The bound on a statement's time, on a server of several processes: the embedded one has none."""

import psycopg
import pytest

from pulseboard.stores import queries

pytestmark = pytest.mark.integration


def test_a_statement_is_stopped_and_the_next_user_of_the_connection_has_no_bound(
    plain_database: str,
) -> None:
    with psycopg.connect(plain_database, autocommit=True, prepare_threshold=None) as connection:
        with pytest.raises(psycopg.errors.QueryCanceled), connection.pipeline():
            queries.limit_time(connection, seconds=0.05)
            connection.execute("select 1").fetchone()
            connection.execute("select pg_sleep(30)").fetchone()
        assert connection.execute("show statement_timeout").fetchone() == ("0",)
