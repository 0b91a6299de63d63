"""The fault table of docs/nothing-lost.md: what was acknowledged is stored, each sample once."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from fastapi.testclient import TestClient

from functions.dev import api
from functions.drain import handler as drain
from functions.drain import work
from infra.local import services
from pulseboard.auth import api_key_cache
from pulseboard.auth.access import Principal
from pulseboard.catalogue import series_cache
from pulseboard.catalogue.series_key import SeriesKey
from pulseboard.contracts.vocabulary import Role
from pulseboard.core.exceptions import Unavailable
from pulseboard.core.settings import settings
from pulseboard.db import database
from pulseboard.db.connection_deadlines import DeadlineExceeded
from pulseboard.db.migrate import migrate
from pulseboard.ingest import samples_store, spill, spill_file
from pulseboard.ingest.batch import Batch
from pulseboard.ingest.spill_file import SpilledBatch, encode, file_name
from pulseboard.ingest.write_path import store
from tests.support.proxy import Proxy

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parents[2]
URL = "/api/v1/metrics"


@pytest.fixture
def spill_dir(stack: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The directory that this process spills to."""
    home = tmp_path / "spill"
    monkeypatch.setenv("PULSEBOARD_SPILL_DIR", str(home))
    monkeypatch.setenv("PULSEBOARD_SPILL_PAUSE", "0.1")
    settings.cache_clear()
    database.close()
    spill.reset()
    yield home
    spill.reset()


@pytest.fixture
def agent(ingest_key: str, spill_dir: Path) -> Iterator[TestClient]:
    """A caller whose key has been seen once."""
    headers = {"Authorization": f"Bearer {ingest_key}"}
    with TestClient(api(), base_url="http://testserver", headers=headers) as caller:
        assert caller.post(URL, json={"name": "first", "value": 1}).status_code == 200
        yield caller


def now() -> int:
    return int(time.time() * 1000)


def points(count: int, *, start: int, **tags: str) -> list[dict[str, Any]]:
    return [
        {"name": "load", "value": n, "tags": {"n": str(n % 5), **tags}, "timestamp": start - n}
        for n in range(count)
    ]


def stored(name: str = "load") -> tuple[int, int]:
    """Rows of a metric, and distinct samples among them."""
    with database.connection() as connection:
        row = connection.execute(
            """
            select count(*), count(distinct (r.series_id, r.time))
            from metrics_raw r join metric_series s on s.id = r.series_id
            join metric_definitions d on d.id = s.metric_id where d.name = %s
            """,
            (name,),
        ).fetchone()
    assert row is not None
    return row[0], row[1]


def waiting(spill_dir: Path) -> list[Path]:
    return sorted((spill_dir / "waiting").glob("*.pbspill"))


def dead(spill_dir: Path) -> list[Path]:
    return sorted((spill_dir / "dead").glob("*.pbspill"))


def drained(most: float = 120.0) -> dict[str, Any]:
    """Drain until nothing waits."""
    deadline = time.monotonic() + most
    while True:
        response = drain.handler({}, None)
        if not response["files"]:
            return response
        assert time.monotonic() < deadline, response
        time.sleep(0.2)


FAULTS: dict[str, Callable[[Proxy], None]] = {
    "away": Proxy.down,
    "cut before the first row": lambda proxy: proxy.cut_after(b"PGCOPY"),
    "cut in mid-batch": lambda proxy: proxy.cut_after(b"PGCOPY", more_bytes=50_000),
    "cut while resolving series": lambda proxy: proxy.cut_after(b"tags_hash"),
    "cut after commit, before its response": lambda proxy: proxy.cut_after(
        b"COMMIT", await_response=True
    ),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_a_batch_that_meets_a_fault_is_acknowledged_and_stored_once(
    proxy: Proxy, agent: TestClient, spill_dir: Path, fault: Callable[[Proxy], None]
) -> None:
    fault(proxy)
    many = points(5000, start=now())
    response = agent.post(URL, json=many)
    assert response.status_code == 200, response.text
    assert response.json()["data"]["accepted"] == 5000
    assert len(waiting(spill_dir)) == 1
    proxy.heal()
    assert drained()["dead"] == 0
    assert stored() == (5000, 5000)
    # An agent that did not hear the response sends again.
    time.sleep(0.2)
    assert agent.post(URL, json=many).status_code == 200
    assert stored() == (5000, 5000)
    assert not waiting(spill_dir)


def test_a_lock_or_a_hanging_server_does_not_hold_ingest_up(
    agent: TestClient, spill_dir: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULSEBOARD_SPILL_WRITE_TIMEOUT", "0.5")
    monkeypatch.setenv("PULSEBOARD_SPILL_WAIT", "0.5")
    settings.cache_clear()
    # The embedded server has one backend: a transaction that stays open is a server that hangs.
    with psycopg.connect(database_url, autocommit=True, prepare_threshold=None) as other:
        with other.transaction():
            other.execute("lock table metrics_raw in access exclusive mode")
            assert agent.post(URL, json=points(100, start=now())).status_code == 200
        assert len(waiting(spill_dir)) == 1
    drained()
    assert stored() == (100, 100)


def test_while_the_database_is_away_only_now_and_then_one_request_tries_it(
    proxy: Proxy, agent: TestClient, spill_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULSEBOARD_SPILL_PAUSE", "600")
    settings.cache_clear()
    database.close()
    tries: list[float] = []
    connection = database.connection

    def counted(**options: Any) -> Any:
        tries.append(time.monotonic())
        return connection(**options)

    monkeypatch.setattr(database, "connection", counted)
    proxy.down()
    for batch in range(20):
        assert agent.post(URL, json=points(1, start=now(), b=str(batch))).status_code == 200
    assert len(tries) == 1
    assert len(waiting(spill_dir)) == 20


def test_more_writes_than_connections_are_spilled_and_open_no_breaker(
    agent: TestClient, spill_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULSEBOARD_DATABASE_POOL_SIZE", "1")
    monkeypatch.setenv("PULSEBOARD_SPILL_WAIT", "0.2")
    settings.cache_clear()
    database.close()
    with database.connection(), ThreadPoolExecutor(8) as threads:
        bodies = [points(10, start=now(), b=str(n)) for n in range(8)]
        responses = list(threads.map(lambda body: agent.post(URL, json=body), bodies))
    assert {response.status_code for response in responses} == {200}
    assert len(waiting(spill_dir)) == 8
    assert database.breaker().current_state == "closed"
    drained()
    assert stored() == (80, 80)


def test_writes_that_ingest_cuts_short_do_not_open_the_breaker(
    agent: TestClient, spill_dir: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind a lock, say: it says nothing about reads, nor about other writes."""
    monkeypatch.setenv("PULSEBOARD_SPILL_WRITE_TIMEOUT", "0.3")
    monkeypatch.setenv("PULSEBOARD_SPILL_PAUSE", "0.01")
    monkeypatch.setenv("PULSEBOARD_BREAKER_FAILURES", "1")
    settings.cache_clear()
    database.close()
    seen: list[BaseException | None] = []
    with psycopg.connect(database_url, autocommit=True, prepare_threshold=None) as other:
        for _ in range(4):
            time.sleep(0.02)
            with database.fail_fast_connection() as connection:
                connection.execute("select 1")
            with other.transaction():
                other.execute("lock table metrics_raw in access exclusive mode")
                try:
                    with database.fail_fast_connection() as connection:
                        connection.execute("insert into metrics_raw values (now(), 0, 0)")
                except Unavailable as error:
                    seen.append(error.__cause__)
    assert [type(error) for error in seen] == [DeadlineExceeded] * 4
    assert database.breaker("write").current_state == "closed"
    assert database.breaker("read").current_state == "closed"


def test_writes_that_fail_leave_reads_alone(
    proxy: Proxy, agent: TestClient, spill_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULSEBOARD_BREAKER_FAILURES", "2")
    monkeypatch.setenv("PULSEBOARD_SPILL_PAUSE", "0.01")
    settings.cache_clear()
    database.close()
    for _ in range(4):
        proxy.cut_after(b"PGCOPY")
        assert agent.post(URL, json=points(50, start=now())).status_code == 200
        proxy.heal()
        time.sleep(0.02)
    assert database.breaker("write").current_state == "open"
    assert agent.get(URL).status_code == 200


def test_many_senders_through_an_outage_lose_nothing(
    proxy: Proxy, agent: TestClient, spill_dir: Path
) -> None:
    """Concurrent senders, the database going and coming, a drain beside them."""
    start, acknowledged, lock = now(), [0], threading.Lock()
    stop = threading.Event()

    def send(sender: int) -> None:
        for batch in range(12):
            body = points(40, start=start - 50 * batch, sender=str(sender))
            for point in body:
                point["tags"]["batch"] = str(batch)
            while agent.post(URL, json=body).status_code != 200:
                time.sleep(0.05)
            with lock:
                acknowledged[0] += len(body)
            time.sleep(0.01)

    def disturb() -> None:
        while not stop.wait(0.3):
            proxy.down()
            if stop.wait(0.3):
                break
            proxy.heal()

    def keep_draining() -> None:
        while not stop.wait(0.1):
            drain.handler({}, None)

    with ThreadPoolExecutor(6) as threads:
        disturbances = [threads.submit(disturb), threads.submit(keep_draining)]
        for sent in [threads.submit(send, n) for n in range(4)]:
            sent.result()
        stop.set()
        for done in disturbances:
            done.result()
    proxy.heal()
    assert drained()["dead"] == 0
    assert acknowledged == [1920]
    assert stored() == (1920, 1920)


def test_a_drain_that_is_killed_at_any_time_stores_each_sample_once(
    agent: TestClient, spill_dir: Path, proxy: Proxy, database_url: str
) -> None:
    proxy.down()
    start = now()
    for batch in range(12):
        body = points(500, start=start - 500 * batch)
        assert agent.post(URL, json=body).status_code == 200
    proxy.heal()
    names = {path.name for path in waiting(spill_dir)}
    assert len(names) == 12
    environment = {
        **os.environ,
        "DATABASE_URL": database_url,
        "PULSEBOARD_DRAIN_MAX_SAMPLES": "1000",
    }
    command = [sys.executable, "-c", "from functions.drain.handler import handler; handler({}, 0)"]
    kills, left = 0, 12
    while left and kills < 5:
        process = subprocess.Popen(command, cwd=ROOT, env=environment)
        # Killed as soon as it has removed something: in the middle of its next portion.
        while process.poll() is None and len(waiting(spill_dir)) == left:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.wait()
        kills += 1
        left = len(waiting(spill_dir))
    assert kills > 1
    drained()
    assert stored() == (6_000, 6_000)


def test_a_full_spill_refuses_with_503_and_accepts_again_after_a_drain(
    agent: TestClient, proxy: Proxy, spill_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULSEBOARD_SPILL_MAX_FILES", "3")
    settings.cache_clear()
    database.close()
    proxy.down()
    responses = [agent.post(URL, json=points(10, start=now(), b=str(b))) for b in range(5)]
    assert [response.status_code for response in responses] == [200, 200, 200, 503, 503]
    assert int(responses[-1].headers["Retry-After"]) > 0
    assert "full" in responses[-1].json()["error"]
    proxy.heal()
    drained()
    assert stored() == (30, 30)
    more, deadline = points(10, start=now(), b="3"), time.monotonic() + 10
    while agent.post(URL, json=more).status_code != 200:
        assert time.monotonic() < deadline, "the limit is checked each second"
        time.sleep(0.2)
    drained()
    assert stored() == (40, 40)


@pytest.mark.parametrize(
    ("variable", "value"),
    [("PULSEBOARD_SPILL_MAX_BYTES", "1024"), ("PULSEBOARD_SPILL_MAX_AGE", "60")],
)
def test_bytes_and_age_bound_the_spill_too(
    agent: TestClient, proxy: Proxy, spill_dir: Path, monkeypatch: pytest.MonkeyPatch,
    variable: str, value: str,
) -> None:  # fmt: skip
    old = _spilled(start=now() - 120_000, value=1.0)
    spill.backend().put(*old)  # type: ignore[union-attr]
    monkeypatch.setenv(variable, value)
    settings.cache_clear()
    proxy.down()
    assert agent.post(URL, json=points(2000, start=now())).status_code == 503
    assert len(waiting(spill_dir)) == 1


def _spilled(*, start: int, value: float, key: SeriesKey | None = None) -> tuple[str, bytes]:
    key = key or SeriesKey.of("load", {"n": "0"})
    data = encode(SpilledBatch(Batch(series=[key], times=[start], values=[value]), None, start))
    return file_name(data, arrived=start), data


def test_poison_is_set_aside_with_its_reason_and_blocks_nobody(
    agent: TestClient, spill_dir: Path
) -> None:
    where, start = spill.backend(), now()
    assert where is not None
    good = [_spilled(start=start - n, value=n) for n in range(3)]
    for name, data in good:
        where.put(name, data)
    torn = good[0][1][:-5]
    where.put(file_name(torn, arrived=start + 1), torn)
    future = bytearray(good[1][1])
    future[4] = 9
    where.put(f"{start + 2:015d}-ff.pbspill", bytes(future))
    # Well-formed, and never writable: a NUL in a tag, and a time beyond what the database holds.
    nul = _spilled(start=start, value=1, key=SeriesKey("load", b'{"n":"\\u0000"}'))
    where.put(f"{start + 3:015d}-{'a' * 32}.pbspill", nul[1])
    assert drained()["dead"] == 3
    assert stored() == (3, 3)
    reasons = [path.read_text() for path in sorted((spill_dir / "dead").glob("*.reason.txt"))]
    assert len(dead(spill_dir)) == len(reasons) == 3
    assert "checksum" in reasons[0]
    assert "format 9.1" in reasons[1]
    assert "can't be written" in reasons[2]
    assert drain.handler({}, None)["dead"] == 3


def test_samples_beyond_a_series_limit_are_set_aside_and_can_be_drained_later(
    agent: TestClient, proxy: Proxy, spill_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy.down()
    body = [
        {"name": "load", "value": 1, "tags": {"id": str(n)}, "timestamp": now()} for n in range(8)
    ]
    assert agent.post(URL, json=body).json()["data"]["accepted"] == 8
    proxy.heal()
    monkeypatch.setenv("PULSEBOARD_SERIES_MAX_PER_METRIC", "5")
    # How many a key may add in a minute does not bound what was accepted before.
    monkeypatch.setenv("PULSEBOARD_SERIES_MAX_NEW_PER_MINUTE", "1")
    settings.cache_clear()
    assert drained()["dead"] == 1
    assert stored() == (5, 5)
    [dead_batch] = dead(spill_dir)
    assert (
        "3 samples were refused"
        in dead_batch.with_name(f"{dead_batch.name}.reason.txt").read_text()
    )
    monkeypatch.setenv("PULSEBOARD_SERIES_MAX_PER_METRIC", "100")
    settings.cache_clear()
    dead_batch.rename(spill_dir / "waiting" / dead_batch.name)
    drained()
    assert stored() == (8, 8)


def value_at(timestamp: int) -> float:
    with database.connection() as connection:
        row = connection.execute(
            "select value from metrics_raw where time = to_timestamp(%s / 1000.0::float8)",
            (timestamp,),
        ).fetchone()
    assert row is not None
    return float(row[0])


def test_a_drain_replaces_nothing_and_writes_the_newest_of_what_waits(
    agent: TestClient, proxy: Proxy, spill_dir: Path
) -> None:
    timestamp = now() - 10_000

    def send(value: float, at: int) -> None:
        point = {"name": "load", "value": value, "tags": {}, "timestamp": at}
        assert agent.post(URL, json=point).status_code == 200

    send(1, timestamp)
    proxy.down()
    for value in (2, 3):
        for at in (timestamp, timestamp - 1, timestamp - 2):
            send(value, at)
        time.sleep(0.002)
    assert len(waiting(spill_dir)) == 6
    proxy.heal()
    database.close()
    send(4, timestamp - 1)
    drained()
    # Stored before or after the others arrived: it stays. Not stored: the last of what waited.
    assert [value_at(at) for at in (timestamp, timestamp - 1, timestamp - 2)] == [1, 4, 3]


def test_the_newest_of_what_waits_wins_across_the_transactions_of_a_drain(
    agent: TestClient, spill_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULSEBOARD_DRAIN_MAX_FILES", "2")
    settings.cache_clear()
    where, start = spill.backend(), now()
    assert where is not None
    for arrived in range(7):
        batch = Batch(series=[SeriesKey.of("load", {})], times=[start], values=[float(arrived)])
        data = encode(SpilledBatch(batch, uuid4() if arrived % 2 else None, start + arrived))
        where.put(file_name(data, arrived=start + arrived), data)
    drained()
    assert value_at(start) == 6


def _of_keys(where: spill.SpillBackend, keys: list[UUID], *, start: int) -> None:
    for number, key in enumerate(keys):
        batch = Batch(
            series=[SeriesKey.of("load", {"n": str(number)})], times=[start], values=[1.0]
        )
        data = encode(SpilledBatch(batch, key, start))
        where.put(file_name(data, arrived=start), data)


def _keys(count: int) -> list[UUID]:
    with database.connection() as connection:
        rows = connection.execute(
            """
            insert into api_keys (owner_id, name, prefix, key_hash, scopes)
            select k.owner_id, 'many', 'many', decode(md5(n::text), 'hex'), k.scopes
            from (select owner_id, scopes from api_keys limit 1) k, generate_series(1, %s) n
            returning id
            """,
            (count,),
        ).fetchall()
    return [row[0] for row in rows]


def test_batches_of_many_keys_share_a_transaction(
    agent: TestClient, spill_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where, keys = spill.backend(), _keys(20)
    assert where is not None
    _of_keys(where, keys, start=now())
    drained()
    begun: list[bool] = []
    begin = samples_store._begin

    def counted(connection: Any, *, fail_fast: bool) -> UUID | None:
        begun.append(fail_fast)
        return begin(connection, fail_fast=fail_fast)

    monkeypatch.setattr(samples_store, "_begin", counted)
    _of_keys(where, keys, start=now() + 1)
    assert work.drain(where, [name for name, _ in where.waiting()]).samples == 20
    assert len(begun) == 1
    assert stored() == (40, 40)
    with database.connection() as connection:
        rows = connection.execute(
            "select s.key_id from metric_series s join metric_definitions d on d.id = s.metric_id"
            " where d.name = 'load'"
        ).fetchall()
    assert {row[0] for row in rows} == set(keys)


def test_late_batches_reach_the_columnstore_and_the_rollups(
    agent: TestClient, spill_dir: Path
) -> None:
    """A day late is within the rollups' lookback; what is in the columnstore stays as it is."""
    where, timestamp = spill.backend(), now() - 86_400_000
    assert where is not None
    where.put(*_spilled(start=timestamp, value=1))
    drained()
    with database.connection() as connection:
        found = connection.execute("select show_chunks('metrics_raw')::text order by 1").fetchone()
        assert found
        connection.execute("call convert_to_columnstore(%s::regclass)", found)
    where.put(*_spilled(start=timestamp, value=2))
    where.put(*_spilled(start=timestamp - 1, value=3))
    drained()
    assert (value_at(timestamp), value_at(timestamp - 1)) == (1, 3)
    with database.connection() as connection:
        connection.execute("call refresh_continuous_aggregate('metrics_1min', null, null)")
        row = connection.execute(
            "select sum(sample_count) from metrics_1min where bucket < now() - interval '12 hours'"
        ).fetchone()
    assert row == (2,)


def test_only_keys_seen_lately_push_while_the_database_is_away(
    admin: TestClient, agent: TestClient, proxy: Proxy, spill_dir: Path
) -> None:
    created = admin.post("/api/v1/api-keys", json={"name": "other", "scopes": ["ingest"]}).json()
    other = {"Authorization": f"Bearer {created['data']['key']}"}
    point = {"name": "load", "value": 1}
    assert agent.post(URL, json=point, headers=other).status_code == 200
    admin.delete(f"/api/v1/api-keys/{created['data']['id']}")
    proxy.down()
    assert agent.post(URL, json=point).status_code == 200
    # A process that has just begun knows it by the cache.
    api_key_cache.reset()
    assert agent.post(URL, json=point).status_code == 200
    for unknown in (other, {"Authorization": "Bearer pb_nobody"}):
        assert agent.post(URL, json=point, headers=unknown).status_code == 503
    # To read takes the database anyway.
    assert agent.get(URL).status_code == 503
    assert len(waiting(spill_dir)) == 2


def test_the_depth_is_shown(admin: TestClient, agent: TestClient, spill_dir: Path) -> None:
    where = spill.backend()
    assert where is not None
    where.put(*_spilled(start=now() - 60_000, value=1))
    where.set_aside(*_spilled(start=now(), value=2), "for a test")
    shown = admin.get("/api/v1/status").json()["data"]["spill"]
    assert (shown["files"], shown["dead"]) == (1, 1)
    assert shown["bytes"] > 0
    assert shown["oldestSeconds"] >= 60
    drained()
    assert stored("pulseboard_spill_dead")[0] >= 1


def test_a_database_that_is_killed_in_mid_batch_loses_nothing(
    tmp_path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real process, really killed, and started again on what it left on disk."""
    port = services.free_port()
    data, log = tmp_path / "data", tmp_path / "log"
    monkeypatch.setenv("DATABASE_URL", services.timescaledb_url(port))
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("PULSEBOARD_SPILL_DIR", str(tmp_path / "spill"))
    monkeypatch.setenv("PULSEBOARD_SPILL_PAUSE", "0.2")
    for reset in (settings.cache_clear, database.close, series_cache.reset, spill.reset):
        reset()
    start, sent, stop = now(), 0, threading.Event()

    def send() -> int:
        count = 0
        while not stop.is_set():
            keys = [SeriesKey.of("load", {"n": str(n)}) for n in range(50)]
            batch = Batch(
                series=keys * 20,
                times=[start - count // 50 - step for step in range(20) for _ in keys],
                values=[float(count)] * 1000,
            )
            _accept(batch)
            count += 1000
        return count

    try:
        child = services.timescaledb_child(port=port, data=data, log=log)
        child.start()
        services.wait_for_timescaledb(child)
        migrate(services.timescaledb_url(port))
        with ThreadPoolExecutor(1) as thread:
            sending = thread.submit(send)
            time.sleep(1.0)
            assert child.process is not None
            child.process.kill()
            child.process.wait()
            time.sleep(1.0)
            child = services.timescaledb_child(port=port, data=data, log=log)
            child.start()
            services.wait_for_timescaledb(child)
            time.sleep(0.5)
            stop.set()
            sent = sending.result()
        assert waiting(tmp_path / "spill"), "the kill met no batch"
        drained()
        assert stored() == (sent, sent)
    finally:
        database.close()
        child.stop()
        for reset in (settings.cache_clear, series_cache.reset, spill.reset):
            reset()


def _accept(batch: Batch) -> None:
    caller = Principal(user_id=uuid4(), role=Role.EDITOR, email="a@example.com")
    store(batch, key_id=caller.key_id, protocol="json")


def test_a_batch_that_inflates_beyond_the_bound_is_spilled_in_parts(
    agent: TestClient, proxy: Proxy, spill_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Long tags on each series: few bytes as sent, and more than a drain would read."""
    monkeypatch.setattr(spill_file, "MAX_INFLATED_BYTES", 20_000)
    proxy.down()
    body = [
        {"name": "load", "value": n, "tags": {"n": f"{n:0200d}"}, "timestamp": now() - n}
        for n in range(300)
    ]
    assert agent.post(URL, json=body).json()["data"]["accepted"] == 300
    assert len(waiting(spill_dir)) > 3
    proxy.heal()
    assert drained()["dead"] == 0
    assert stored() == (300, 300)


def test_a_drain_ends_before_lambda_ends_it(
    agent: TestClient, spill_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULSEBOARD_DRAIN_MAX_FILES", "1")
    settings.cache_clear()
    where, start = spill.backend(), now()
    assert where is not None
    for n in range(3):
        where.put(*_spilled(start=start - n, value=n))
    context = SimpleNamespace(get_remaining_time_in_millis=lambda: 0)
    # Each run does something, publishes what is left, and responds.
    assert [drain.handler({}, context)["files"] for _ in range(3)] == [2, 1, 0]
    assert stored() == (3, 3)


def test_a_message_is_left_to_the_drain_that_takes_all(agent: TestClient, spill_dir: Path) -> None:
    where = spill.backend()
    assert where is not None
    name, data = _spilled(start=now(), value=1)
    where.put(name, data)
    body = json.dumps({"Records": [{"s3": {"object": {"key": f"waiting/{name}"}}}]})
    event = {"Records": [{"messageId": "1", "body": body}]}
    with spill.draining(seconds=60):
        assert drain.handler(event, None) == {"batchItemFailures": []}
        assert len(waiting(spill_dir)) == 1
    assert drain.handler(event, None) == {"batchItemFailures": []}
    assert not waiting(spill_dir)


def test_the_event_of_s3_names_a_batch_that_may_be_gone(spill_dir: Path) -> None:
    event = json.loads((ROOT / "events" / "drain.json").read_text(encoding="utf-8"))
    assert drain.handler(event, None) == {"batchItemFailures": []}


def _columnstore(series: int, samples: int, *, start: int) -> None:
    """So many samples of each series of `load`, in the columnstore."""
    with database.connection() as connection:
        connection.execute(
            """
            insert into metrics_raw (time, series_id, value)
            select to_timestamp(%s / 1000.0::float8) + g * interval '1 second', s.id, 1
            from (
              select s.id from metric_series s join metric_definitions d on d.id = s.metric_id
              where d.name = 'load' order by s.id limit %s
            ) s, generate_series(1, %s) g
            """,
            (start, series, samples),
        )
        for (chunk,) in connection.execute("select show_chunks('metrics_raw')::text").fetchall():
            connection.execute("call convert_to_columnstore(%s::regclass, true)", (chunk,))


def test_a_replay_into_the_columnstore_is_stored_whatever_it_decompresses(
    agent: TestClient, spill_dir: Path
) -> None:
    """100,000 samples is what TimescaleDB decompresses for a statement by default."""
    start = (now() - 30 * 3_600_000) // 14_400_000 * 14_400_000
    body = [
        {"name": "load", "value": 1, "tags": {"id": str(n)}, "timestamp": start} for n in range(110)
    ]
    assert agent.post(URL, json=body).json()["data"]["accepted"] == 110
    _columnstore(110, 1000, start=start)
    assert stored() == (110_110, 110_110)
    again = [point | {"value": 2, "timestamp": start + 500_000} for point in body]
    assert agent.post(URL, json=again).json()["data"]["accepted"] == 110
    assert not waiting(spill_dir)
    assert stored() == (110_110, 110_110)
    assert value_at(start + 500_000) == 2
    # And what was spilled before the chunk went to the columnstore.
    _columnstore(0, 0, start=start)
    where = spill.backend()
    assert where is not None
    keys = [SeriesKey.of("load", {"id": str(n)}) for n in range(110)]
    batch = Batch(series=keys, times=[start + 600_000] * 110, values=[3.0] * 110)
    data = encode(SpilledBatch(batch, None, now()))
    where.put(file_name(data, arrived=now()), data)
    assert drained()["dead"] == 0
    assert database.breaker().current_state == "closed"


def _failing(name: str, code: str) -> str:
    """SQL: storing a series of `name` raises the SQLSTATE."""
    return f"""
        create or replace function fail_on_purpose() returns trigger language plpgsql as $$
        begin
          if exists (
            select from metric_series s join metric_definitions d on d.id = s.metric_id
            where s.id = new.series_id and d.name = '{name}'
          ) then raise exception 'on purpose' using errcode = '{code}'; end if;
          return new;
        end $$;
        create trigger fail_on_purpose before insert on metrics_raw
          for each row execute function fail_on_purpose()
    """


@pytest.mark.parametrize("code", ["53400", "55P03", "53200", "54000", "XX000"])
def test_a_batch_that_fails_while_others_succeed_is_set_aside(
    agent: TestClient, spill_dir: Path, code: str
) -> None:
    where, start = spill.backend(), now()
    assert where is not None
    bad = _spilled(start=start + 100, value=1, key=SeriesKey.of("bad", {}))
    others = [_spilled(start=start - n, value=n) for n in range(3)]
    for name, data in [bad, *others]:
        where.put(name, data)
    with database.connection() as connection:
        connection.execute(_failing("bad", code).encode())
    try:
        drain.handler({}, None)
        # The newest goes first and fails; the others are stored all the same.
        assert stored() == (3, 3)
        for n in range(work.MOST_FAILURES):
            where.put(*_spilled(start=start - 10 - n, value=n))
            drain.handler({}, None)
        assert stored() == (3 + work.MOST_FAILURES, 3 + work.MOST_FAILURES)
        assert not waiting(spill_dir)
        [kept] = dead(spill_dir)
        assert code in kept.with_name(f"{kept.name}.reason.txt").read_text()
        assert database.breaker().current_state == "closed"
    finally:
        with database.connection() as connection:
            connection.execute("drop trigger if exists fail_on_purpose on metrics_raw")


def test_a_database_that_refuses_every_batch_sets_none_aside(
    agent: TestClient, spill_dir: Path
) -> None:
    """A full disk or a standby is no fault of a batch."""
    where, start = spill.backend(), now()
    assert where is not None
    for n in range(5):
        where.put(*_spilled(start=start - n, value=n))
    with database.connection() as connection:
        connection.execute(_failing("load", "53100").encode())
    try:
        for _ in range(work.MOST_FAILURES + 1):
            assert drain.handler({}, None)["away"]
        assert len(waiting(spill_dir)) == 5
    finally:
        with database.connection() as connection:
            connection.execute("drop trigger fail_on_purpose on metrics_raw")
    drained()
    assert stored() == (5, 5)
