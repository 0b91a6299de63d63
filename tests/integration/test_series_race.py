"""Four processes meet the same new series on a PostgreSQL with real concurrency."""

import glob
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from infra.local.services import free_port
from pulseboard.migrate import migrate

pytestmark = pytest.mark.race
_BINARIES = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"))

_WRITER = """
import sys
import psycopg
from pulseboard.domain.ingest import SeriesSamples
from pulseboard.domain.series import canonical_tags, identity
from pulseboard.stores import series
seed = int(sys.argv[2])
with psycopg.connect(sys.argv[1], autocommit=True, prepare_threshold=None) as connection:
    for round_ in range(10):
        wanted = {}
        for n in range(200):
            name, tags = f"m{(n * (seed + 1)) % 7}", canonical_tags({"n": str(n), "r": str(round_)})
            wanted[identity(name, tags)] = SeriesSamples(name, tags)
        if seed % 2:
            wanted = dict(reversed(wanted.items()))
        assert len(series.resolve(connection, wanted=wanted)) == len(wanted)
"""


@pytest.fixture(scope="module")
def plain_database() -> Iterator[str]:
    if not _BINARIES:
        pytest.skip("no multi-process PostgreSQL is installed")
    binaries = Path(_BINARIES[-1]).parent
    # PostgreSQL does not start as root.
    as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    with tempfile.TemporaryDirectory(prefix="pulseboard-race-") as home:
        Path(home).chmod(0o777)
        data, port = f"{home}/data", free_port()
        run = [*as_user, str(binaries / "initdb"), "-D", data, "-A", "trust", "-U", "postgres"]
        subprocess.run(run, check=True, capture_output=True)
        control = [*as_user, str(binaries / "pg_ctl"), "-D", data, "-w"]
        options = f"-p {port} -k {home} -c listen_addresses=127.0.0.1 -c fsync=off"
        started = [*control, "-l", f"{home}/log", "-o", options, "start"]
        subprocess.run(started, check=True, stdout=subprocess.DEVNULL)
        try:
            url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
            migrate(url, timeseries=False)
            yield url
        finally:
            stopped = [*control, "-m", "immediate", "stop"]
            subprocess.run(stopped, check=True, stdout=subprocess.DEVNULL)


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
