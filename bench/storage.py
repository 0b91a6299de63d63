"""The size of a row on disk, indexes included: a raw sample and a row of a rollup, each before and
after the columnstore. infra/cost.py reckons with these.
"""

import psycopg
from psycopg import sql

FIRST = 1_000_000
"""Series ids from here on are of this benchmark."""


def run(database_url: str, redis_url: str, *, quick: bool = False) -> None:
    """Print bytes a row. The values are random, which compresses worst."""
    series = 10 if quick else 100
    with psycopg.connect(database_url, autocommit=True, prepare_threshold=None) as connection:
        before = _size(connection, "metrics_raw")
        rows = connection.execute(
            """
            insert into metrics_raw
            select time, id, random()
            from generate_series(
              now() - interval '40 hours', now() - interval '16 hours', interval '10 s') time,
              generate_series(%(first)s, %(last)s) id
            order by id, time
            """,
            {"first": FIRST, "last": FIRST + series - 1},
        ).rowcount
        print(f"\n{series} series × 24 h at 10 s, bytes a row on disk, with indexes:")
        print(f"raw sample     {(_size(connection, 'metrics_raw') - before) / rows:6.1f}")
        for view in ("metrics_1min", "metrics_1hour"):
            table = _behind(connection, view)
            held, size = _count(connection, table), _size(connection, table)
            connection.execute(
                f"call refresh_continuous_aggregate('{view}', null, now() - interval '15 hours')"
            )
            added = _count(connection, table) - held
            rows_bytes = (_size(connection, table) - size) / added
            connection.execute(
                "select compress_chunk(c, if_not_compressed => true) from show_chunks(%s) c",
                (view,),
            )
            print(
                f"{view:14} {rows_bytes:6.1f}, in the columnstore"
                f" {(_size(connection, table) - size) / added:6.1f}"
            )
        connection.execute(
            "select compress_chunk(c, if_not_compressed => true) from show_chunks('metrics_raw',"
            " older_than => interval '12 hours') c"
        )
        print(f"columnstore    {(_size(connection, 'metrics_raw') - before) / rows:6.1f}")


def _size(connection: psycopg.Connection, table: str) -> int:
    row = connection.execute("select hypertable_size(%s)", (table,)).fetchone()
    assert row
    return int(row[0])


def _count(connection: psycopg.Connection, table: str) -> int:
    name = sql.Identifier(*table.split("."))
    row = connection.execute(sql.SQL("select count(*) from {}").format(name)).fetchone()
    assert row
    return int(row[0])


def _behind(connection: psycopg.Connection, view: str) -> str:
    """The table behind a continuous aggregate."""
    row = connection.execute(
        """
        select materialization_hypertable_schema || '.' || materialization_hypertable_name
        from timescaledb_information.continuous_aggregates where view_name = %s
        """,
        (view,),
    ).fetchone()
    assert row
    return str(row[0])
