"""Four processes meet the same new series on a PostgreSQL with real concurrency."""

import subprocess
import sys

import psycopg
import pytest

pytestmark = pytest.mark.race

_WRITER = """
import sys
import psycopg
from pulseboard.catalogue import series_store
from pulseboard.catalogue.series_key import SeriesKey, canonical_tags, identity
seed = int(sys.argv[2])
with psycopg.connect(sys.argv[1], autocommit=True, prepare_threshold=None) as connection:
    for round_ in range(10):
        wanted = {}
        for n in range(200):
            name, tags = f"m{(n * (seed + 1)) % 7}", canonical_tags({"n": str(n), "r": str(round_)})
            wanted[identity(name, tags)] = SeriesKey(name, tags)
        if seed % 2:
            wanted = dict(reversed(wanted.items()))
        keys = list(wanted.values())
        series_store.resolve(connection, keys=keys)
        assert len({key.noted for key in keys} - {0}) == len(wanted)
"""


def test_processes_that_meet_new_series_make_each_once(plain_database: str) -> None:
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", _WRITER, plain_database, str(seed)], stderr=subprocess.PIPE
        )
        for seed in (0, 1, 0, 1)
    ]
    for writer in writers:
        _, problems = writer.communicate(timeout=120)
        assert writer.returncode == 0, problems.decode()
    with psycopg.connect(plain_database) as connection:
        row = connection.execute(
            "select count(*), count(distinct (metric_id, tags)) from metric_series"
        ).fetchone()
    assert row is not None
    assert row[0] == row[1] >= 2000
