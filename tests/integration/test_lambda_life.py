"""What happens to a Lambda environment between requests, under Amazon's runtime client.

It is frozen for an hour, killed at its timeout, one of two that respond in turns, or has a clock
that is two seconds off.
"""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from fastapi.testclient import TestClient

from infra.local import invoke, runtime_api
from infra.local.runtime_api import RuntimeInstance
from pulseboard.catalogue.series_key import SeriesKey
from pulseboard.db import database
from pulseboard.ingest import samples_store
from pulseboard.ingest.batch import Batch
from tests.support.proxy import Proxy

pytestmark = pytest.mark.integration

# Python imports it before anything else. The offset can change while the process runs.
_MOVED_CLOCK = """
import os, pathlib, time
_file, _time = pathlib.Path(os.environ["CLOCK_OFFSET"]), time.time
time.time = lambda: _time() + float(_file.read_text())
"""


class Environment:
    """A Lambda environment whose clock can be moved."""

    def __init__(self, function: RuntimeInstance, offset: Path) -> None:
        self.function = function
        self._offset = offset

    def move_clock(self, seconds: float) -> None:
        """Its wall clock is so many seconds ahead of this process's."""
        self._offset.write_text(str(seconds))

    def event(self, body: Any, *, key: str) -> Any:
        """A request of this function."""
        return {**invoke.event(self.function.name, key=key), "body": json.dumps(body)}

    def post(self, body: Any, *, key: str) -> tuple[int, Any]:
        """Status and body of the response."""
        response = self.function.invoke(self.event(body, key=key))
        return response["statusCode"], json.loads(response["body"])

    def send(self, value: float, *, key: str, host: str = "a", ago: float = 0) -> int:
        """Push a sample of `load`; the status."""
        at = round((time.time() - ago) * 1000)
        sent = {"name": "load", "value": value, "tags": {"host": host}, "timestamp": at}
        return self.post(sent, key=key)[0]

    def lines(self, *, key: str, start: float, end: float) -> dict[str, list[float | None]]:
        """The values of `load` by host."""
        query = {"query": "load", "start": start * 1000, "end": end * 1000, "step": "10s"}
        status, body = self.post(query, key=key)
        assert status == 200, body
        return {line["tags"]["host"]: line["values"] for line in body["data"]["series"]}


@contextmanager
def running(name: str, home: Path, **environment: str) -> Iterator[Environment]:
    """An environment of a function, on the test's database."""
    folder = home / f"{name}-{uuid4()}"
    folder.mkdir()
    offset = folder / "offset"
    offset.write_text("0")
    (folder / "sitecustomize.py").write_text(_MOVED_CLOCK)
    given = {
        "DATABASE_URL": os.environ["DATABASE_URL"],
        "REDIS_URL": os.environ["REDIS_URL"],
        "CLOCK_OFFSET": str(offset),
        "POWERTOOLS_METRICS_DISABLED": "true",
        "PULSEBOARD_SPILL_DIR": str(home / "spill"),
        **environment,
    }
    with runtime_api.running(name, path=[folder], environment=given) as function:
        yield Environment(function, offset)


def write(*, host: str, times: list[float]) -> None:
    """Store samples of value 1 from this process."""
    key = SeriesKey.of("load", {"host": host})
    milliseconds = [round(at * 1000) for at in times]
    samples_store.write(Batch([key] * len(times), milliseconds, [1.0] * len(times)))


def stored() -> list[tuple[str, float]]:
    """Host and value of each sample of `load`."""
    with database.connection() as connection:
        return connection.execute(
            """
            select s.tags->>'host', r.value from metrics_raw r
            join metric_series s on s.id = r.series_id
            join metric_definitions d on d.id = s.metric_id
            where d.name = 'load' order by r.time
            """
        ).fetchall()


@pytest.fixture
def revocable(admin: TestClient) -> tuple[str, str]:
    """Id and secret of a key."""
    created = admin.post("/api/v1/api-keys", json={"name": "other", "scopes": ["ingest"]})
    return created.json()["data"]["id"], created.json()["data"]["key"]


def test_ingest_goes_on_after_an_hour_frozen_and_trusts_no_old_key(
    admin: TestClient,
    ingest_key: str,
    revocable: tuple[str, str],
    proxy: Proxy,
    tmp_path: Path,
) -> None:
    with running("ingest", tmp_path) as environment:
        assert environment.send(1, key=revocable[1], ago=30) == 200
        assert environment.send(2, key=ingest_key, ago=20) == 200
        environment.function.freeze()
        assert admin.delete(f"/api/v1/api-keys/{revocable[0]}").status_code < 300
        # Meanwhile the network has forgotten its connections.
        proxy.drop_all()
        environment.move_clock(3600)
        environment.function.thaw()
        assert environment.send(3, key=revocable[1], ago=10) == 401
        assert environment.send(4, key=ingest_key) == 200
    assert stored() == [("a", 1.0), ("a", 2.0), ("a", 4.0)]


def test_a_query_after_an_hour_frozen_finds_what_was_stored_meanwhile(
    ingest_key: str, proxy: Proxy, tmp_path: Path
) -> None:
    now = time.time() // 10 * 10
    write(host="a", times=[now - 20])
    with running("query", tmp_path, PULSEBOARD_QUERY_CACHE_LIVE="1") as environment:
        assert set(environment.lines(key=ingest_key, start=now - 60, end=now)) == {"a"}
        environment.function.freeze()
        write(host="b", times=[now - 10])
        proxy.drop_all()
        environment.move_clock(3600)
        # The cache's own clock can't be moved: what it holds of the newest points lives a second.
        time.sleep(1.5)
        environment.function.thaw()
        assert set(environment.lines(key=ingest_key, start=now - 60, end=now)) == {"a", "b"}


def test_what_a_killed_environment_was_writing_is_stored_once(
    ingest_key: str, proxy: Proxy, tmp_path: Path
) -> None:
    """Killed within its transaction: another environment gets the batch when it is sent again."""
    body = [
        {
            "name": "load",
            "value": n,
            "tags": {"host": "a"},
            "timestamp": round(time.time()) * 1000 + n,
        }
        for n in range(50)
    ]
    with running("ingest", tmp_path) as first, running("ingest", tmp_path) as second:
        assert first.send(-1, key=ingest_key, ago=60) == 200
        assert second.send(-2, key=ingest_key, ago=50) == 200
        proxy.stall_after(b"PGCOPY")
        first.function.send(first.event(body, key=ingest_key))
        assert proxy.stalled.wait(30)
        first.function.kill()
        proxy.resume()
        status, response = second.post(body, key=ingest_key)
        assert (status, response["data"]["accepted"]) == (200, 50)
    assert len(stored()) == 52


def test_two_environments_in_turns_agree_on_the_catalogue(
    admin: TestClient, ingest_key: str, tmp_path: Path
) -> None:
    with running("ingest", tmp_path) as first, running("ingest", tmp_path) as second:
        for turn, environment in enumerate([first, second] * 3):
            assert environment.send(turn, key=ingest_key, host=f"h{turn % 3}", ago=60 - turn) == 200
        deleted = admin.delete("/api/v1/usage/series", params={"selector": "load"})
        assert deleted.json()["data"]["seriesCount"] == 3
        # Both have ids of series that are gone; one makes the series again, then the other.
        assert first.send(7, key=ingest_key, host="h1", ago=20) == 200
        assert second.send(8, key=ingest_key, host="h0", ago=10) == 200
        assert second.send(9, key=ingest_key, host="h1") == 200
        assert first.send(10, key=ingest_key, host="h0", ago=-1) == 200
    assert stored() == [("h1", 7.0), ("h0", 8.0), ("h1", 9.0), ("h0", 10.0)]


@pytest.mark.parametrize("ahead", [2.0, -2.0])
def test_clocks_two_seconds_apart_hide_no_late_sample(
    ingest_key: str, proxy: Proxy, tmp_path: Path, ahead: float
) -> None:
    """What one environment caches, the other uses; a late sample must replace it in both."""
    now = time.time() // 10 * 10
    write(host="a", times=[now - 10 * n for n in range(180)])
    live = {"PULSEBOARD_QUERY_CACHE_LIVE": "1"}
    with running("query", tmp_path, **live) as moved, running("query", tmp_path, **live) as right:
        moved.move_clock(ahead)
        for environment in (moved, right):
            assert set(environment.lines(key=ingest_key, start=now - 1500, end=now - 300)) == {"a"}
        write(host="late", times=[now - 900])
        # Points read a second ago are used in any case: until they are older than that.
        time.sleep(3.5)
        for environment in (right, moved):
            assert set(environment.lines(key=ingest_key, start=now - 1500, end=now - 300)) == {
                "a",
                "late",
            }
