"""How long the catalogue knows a series: restores, last seen, expiry, and limits on active ones."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from fastapi.testclient import TestClient

from functions.maintain import handler as maintain
from pulseboard.catalogue import cardinality_queries, expiry_store, last_seen, series_cache
from pulseboard.catalogue.series_key import MetricMetadata, SeriesKey
from pulseboard.contracts.vocabulary import MetricType
from pulseboard.core import freshness
from pulseboard.core.settings import settings
from pulseboard.db import database
from pulseboard.ingest import samples_store
from pulseboard.ingest.batch import Batch

pytestmark = pytest.mark.integration


def batch(*keys: SeriesKey, value: float = 1.0, ago: float = 0) -> Batch:
    at = round((time.time() - ago) * 1000)
    return Batch(series=list(keys), times=[at] * len(keys), values=[value] * len(keys))


def stored() -> list[tuple[str, dict[str, str], float]]:
    """Metric, tags and value of each sample, as a query reads them."""
    with database.connection() as connection:
        return connection.execute(
            """
            select d.name, s.tags, r.value from metrics_raw r
            join metric_series s on s.id = r.series_id
            join metric_definitions d on d.id = s.metric_id
            order by r.time
            """
        ).fetchall()


_CATALOGUE = ("metric_definitions", "metric_series", "series_generation")


def _dump(connection: psycopg.Connection[Any]) -> dict[str, list[bytes]]:
    found = {}
    for table in _CATALOGUE:
        with connection.cursor().copy(f"copy {table} to stdout".encode()) as copy:
            found[table] = [bytes(part) for part in copy]
    return found


def _restore_data(connection: psycopg.Connection[Any], dump: dict[str, list[bytes]]) -> None:
    """As `pg_restore --data-only --disable-triggers` does: no trigger sees it."""
    with connection.transaction():
        connection.execute("set local session_replication_role = replica")
        for table in reversed(_CATALOGUE):
            connection.execute(f"delete from {table}".encode())
        for table in _CATALOGUE:
            with connection.cursor().copy(f"copy {table} from stdin".encode()) as copy:
                for part in dump[table]:
                    copy.write(part)
        for table in _CATALOGUE[:2]:
            connection.execute(
                f"select setval(pg_get_serial_sequence('{table}', 'id'), max(id)) from {table}"
                .encode()
            )  # fmt: skip


def test_after_a_restore_samples_stay_in_their_series(stack: None) -> None:
    """A warm process has cached ids that the restored database gives to other series."""
    first, later = SeriesKey.of("cpu", {"host": "a"}), SeriesKey.of("load", {"host": "b"})
    samples_store.write(batch(first))
    with database.connection() as connection:
        dump = _dump(connection)
    samples_store.write(batch(later))
    with database.connection() as connection:
        _restore_data(connection, dump)
        connection.execute("delete from metrics_raw")
    warm = series_cache.current()
    series_cache.reset()
    samples_store.write(batch(SeriesKey.of("disk", {"host": "c"}), value=2.0))
    # Back in the warm process.
    series_cache._cache = warm
    samples_store.write(batch(SeriesKey.of("load", {"host": "b"}), value=3.0))
    assert stored() == [("disk", {"host": "c"}, 2.0), ("load", {"host": "b"}, 3.0)]


def _row(key: SeriesKey) -> tuple[datetime, datetime]:
    with database.connection() as connection:
        row = connection.execute(
            "select last_seen, last_seen_day from metric_series where tags_hash = %s",
            (key.identity,),
        ).fetchone()
    assert row is not None
    return row[0], row[1]


def _age(keys: Sequence[SeriesKey], days: float) -> None:
    with database.connection() as connection:
        connection.execute(
            "update metric_series set last_seen = now() - %(age)s, last_seen_day = now() - %(age)s"
            " where tags_hash = any(%(keys)s)",
            {"age": timedelta(days=days), "keys": [key.identity for key in keys]},
        )


def test_a_series_that_is_seen_again_is_found_by_when(stack: None) -> None:
    key = SeriesKey.of("cpu", {"host": "a"})
    samples_store.write(batch(key))
    _age([key], 3)
    series_cache.reset()
    samples_store.write(batch(key, ago=-1))
    seen, day = _row(key)
    assert datetime.now(UTC) - seen < timedelta(minutes=1)
    assert timedelta(0) <= seen - day <= timedelta(days=1)
    with database.connection() as connection:
        found = connection.execute(
            f"select s.id from metric_series s where {last_seen.SEEN_SINCE}",
            {"seen_since": last_seen.for_samples_since(time.time() - 60)},
        ).fetchall()
        assert len(found) == 1


def test_a_process_that_was_frozen_writes_when_series_were_seen(
    stack: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a Lambda is frozen its monotonic clock stands still."""
    key = SeriesKey.of("cpu", {"host": "a"})
    samples_store.write(batch(key))
    _age([key], 0.5)
    held = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: held)
    wall = time.time() + 3600
    monkeypatch.setattr(freshness, "time", lambda: wall)
    samples_store.write(batch(key, ago=-1))
    seen, _ = _row(key)
    assert datetime.now(UTC) - seen < timedelta(minutes=1)


def test_metadata_of_a_metric_that_another_process_deleted_is_written_again(stack: None) -> None:
    key = SeriesKey.of("cpu", {"host": "a"})
    described = {"cpu": MetricMetadata(MetricType.GAUGE, "percent", "Busy.")}

    def send(ago: float) -> None:
        sent = batch(key, ago=ago)
        sent.metadata = described
        samples_store.write(sent)

    send(2)
    with database.connection() as connection:
        connection.execute("delete from metric_definitions")
    send(1)
    with database.connection() as connection:
        row = connection.execute("select type, unit, description from metric_definitions")
        assert row.fetchall() == [("gauge", "percent", "Busy.")]


def _dead(name: str, count: int, *, days: float) -> None:
    """Series of pods that were gone so many days ago."""
    with database.connection() as connection:
        connection.execute(
            "insert into metric_definitions (name) values (%s) on conflict do nothing", (name,)
        )
        connection.execute(
            """
            insert into metric_series
              (metric_id, tags, tags_hash, created_at, last_seen, last_seen_day)
            select d.id, jsonb_build_object('pod', n::text), sha256(n::text::bytea),
              now() - %(age)s, now() - %(age)s, now() - %(age)s
            from metric_definitions d, generate_series(1, %(count)s) n where d.name = %(name)s
            """,
            {"age": timedelta(days=days), "count": count, "name": name},
        )


def _pods(first: int, count: int) -> list[SeriesKey]:
    return [SeriesKey.of("cpu", {"pod": f"new-{n}"}) for n in range(first, first + count)]


def _refused(sent: Batch) -> int:
    samples_store.write(sent)
    return sent.rejected


def test_limits_count_the_series_that_are_active(
    stack: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULSEBOARD_SERIES_MAX_PER_METRIC", "100")
    settings.cache_clear()
    _dead("cpu", 2_000, days=3)
    with database.connection() as connection:
        cardinality_queries.recount(connection)
    assert _refused(batch(*_pods(0, 60))) == 0
    # Also by a process that has just begun: what was created is counted at once.
    series_cache.reset()
    assert _refused(batch(*_pods(60, 60))) == 20
    _age(_pods(0, 60), 2)
    with database.connection() as connection:
        cardinality_queries.recount(connection)
    series_cache.reset()
    assert _refused(batch(*_pods(200, 60))) == 0


def test_a_series_that_was_refused_is_remembered(
    stack: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULSEBOARD_SERIES_MAX_PER_METRIC", "10")
    settings.cache_clear()
    assert _refused(batch(*_pods(0, 12))) == 2
    with monkeypatch.context() as patched:
        patched.setattr(cardinality_queries, "refuse", None)
        sent = batch(*_pods(0, 12), ago=-1)
        assert _refused(sent) == 2
        assert "the most that one metric may have" in sent.issues[0].message
    # Not for ever.
    monkeypatch.setenv("PULSEBOARD_SERIES_MAX_PER_METRIC", "100")
    settings.cache_clear()
    later = time.time() + series_cache.REFUSED_SECONDS
    monkeypatch.setattr(freshness, "time", lambda: later)
    assert _refused(batch(*_pods(0, 12), ago=-2)) == 0


def test_a_series_expires_when_no_tier_has_its_samples(stack: None) -> None:
    _dead("gone", 30, days=400)
    _dead("cpu", 30, days=400)
    _dead("memory", 30, days=300)
    key = SeriesKey.of("cpu", {"host": "a"})
    samples_store.write(batch(key))
    with database.connection() as connection:
        connection.execute(
            "update metric_definitions set created_at = now() - interval '400 days'"
            " where name = 'gone'"
        )
        assert expiry_store.expire(connection, seconds=10, together=25) == 60
        assert expiry_store.expire(connection, seconds=10) == 0
        left = connection.execute(
            "select d.name, count(s.id) from metric_definitions d"
            " left join metric_series s on s.metric_id = d.id group by 1 order by 1"
        ).fetchall()
    assert left == [("cpu", 1), ("memory", 30)]
    # A process that has cached its id goes on.
    assert _refused(batch(key, ago=-1)) == 0


def test_maintain_expires_series(stack: None) -> None:
    _dead("gone", 3, days=400)
    assert maintain.handler({}, None)["expired"] == 3


def test_counts_on_pages_are_of_active_series(admin: TestClient) -> None:
    _dead("cpu", 50, days=3)
    samples_store.write(batch(*_pods(0, 2)))
    [listed] = admin.get("/api/v1/metrics", params={"prefix": "cpu"}).json()["data"]
    assert listed["seriesCount"] == 2
    seen = datetime.fromisoformat(listed["lastSeen"])
    assert datetime.now(UTC) - seen < timedelta(minutes=1)
    assert admin.get("/api/v1/usage").json()["data"]["total"]["seriesCount"] == 2
    detail = admin.get("/api/v1/usage/metrics/cpu").json()["data"]
    assert detail["usage"]["seriesCount"] == 2
    assert detail["tags"][0]["valueCount"] == 2
