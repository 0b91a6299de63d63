"""Each of the six conditions through everything that goes wrong, on the real parts.

A rule for each condition, over a metric of its own, ticks beside the others; what a test expects
it expects of all six, by condition.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
import redis
from fastapi.testclient import TestClient

from functions.evaluate import handler as evaluate
from functions.evaluate import tick
from functions.evaluate.tick import Report
from functions.notify import handler as notify
from pulseboard.alerts.state_machine import TICK
from pulseboard.contracts.alerts import AlertCondition
from pulseboard.core.exceptions import Unavailable
from pulseboard.core.settings import settings
from pulseboard.db import database
from tests.support.proxy import Proxy

pytestmark = pytest.mark.integration
API = "/api/v1/alerts"
MET = {"gt": 91.0, "gte": 90.0, "lt": 89.0, "lte": 90.0, "eq": 90.0, "ne": 1.0}
UNMET = {"gt": 90.0, "gte": 89.0, "lt": 90.0, "lte": 91.0, "eq": 91.0, "ne": 90.0}
CONDITIONS = [each.value for each in AlertCondition if each is not AlertCondition.RETURNED]
FIRING, RESOLVED = ["firing"], ["resolved"]

_TICKS = """
import json, sys
out, sys.stdout = sys.stdout, sys.stderr  # logs go elsewhere, where nobody must read them
from functions.evaluate import tick
print("ready", file=out, flush=True)
sys.stdin.readline()
for now in sys.argv[1:]:
    report = tick.run(now=float(now))
    print(json.dumps([claim.idempotency_key for claim in report.claims]), file=out, flush=True)
sys.stdin.readline()
"""


def each(outcome: Any) -> dict[str, Any]:
    """The same outcome for each condition."""
    return dict.fromkeys(CONDITIONS, outcome)


class World:
    """Six rules, and a time of the past that a test moves tick by tick."""

    def __init__(self, http: TestClient) -> None:
        self.http = http
        self.now = time.time() // TICK * TICK - 6 * 3600

    def watch(self, *, query: str = "cpu_{}", **fields: Any) -> None:
        for condition in CONDITIONS:
            body = {
                "name": condition,
                "query": query.format(condition),
                "condition": condition,
                "threshold": 90,
                **fields,
            }
            response = self.http.post(f"{API}/rules", json=body)
            assert response.status_code == 201, response.text

    def send(self, met: bool, *, ago: float = 1.0, **tags: str) -> None:
        """A sample of each metric that meets its rule's condition, or does not."""
        self.write({f"cpu_{name}": (MET if met else UNMET)[name] for name in CONDITIONS}, ago, tags)

    def write(self, values: dict[str, float], ago: float, tags: dict[str, str]) -> None:
        stamp = int((self.now - ago) * 1000)
        points = [
            {"name": name, "tags": tags, "timestamp": stamp, "value": value}
            for name, value in values.items()
        ]
        response = self.http.post("/api/v1/metrics", json=points)
        assert response.json()["data"]["rejected"] == 0, response.text

    def tick(self, count: int = 1) -> Report:
        for _ in range(count):
            self.now += TICK
            report = self.run()
        return report

    def run(self) -> Report:
        """A tick now, whose notifications all arrive."""
        report = tick.run(now=self.now)
        if report.claims:
            results = [{"id": claim.id, "ok": True} for claim in report.claims]
            evaluate.handler({"action": "acknowledge", "results": results}, None)
        return report

    def beat(self, *met: bool, **tags: str) -> Report:
        """For each: the samples, then a tick."""
        for one in met:
            self.now += TICK
            self.send(one, ago=1.0, **(tags or {"host": "a"}))
            report = self.run()
        return report

    def transitions(self, **tags: str) -> dict[str, list[str]]:
        """By condition the changes of state, oldest first: of all series, or of one."""
        found = self.http.get(f"{API}/events", params={"pageSize": 1000}).json()["data"]
        outcome: dict[str, list[str]] = {name: [] for name in CONDITIONS}
        for event in reversed(found):
            if not tags or event["tags"] == tags:
                outcome[event["ruleName"]].append(event["status"])
        return outcome

    def sent(self) -> dict[str, list[str]]:
        """By condition the notifications there are, oldest first."""
        found = self.http.get(f"{API}/deliveries", params={"pageSize": 1000}).json()["data"]
        outcome: dict[str, list[str]] = {name: [] for name in CONDITIONS}
        for one in reversed(found):
            outcome[one["ruleName"]].append("firing" if one["firing"] else "resolved")
        return outcome


@pytest.fixture
def world(admin: TestClient, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setenv("PULSEBOARD_ALERT_ALLOW_PRIVATE", "true")
    monkeypatch.setenv("POWERTOOLS_METRICS_DISABLED", "true")
    monkeypatch.setenv("PULSEBOARD_ALERT_GROUP_WAIT", "0")
    settings.cache_clear()
    yield World(admin)
    settings.cache_clear()


def hook(url: str = "http://127.0.0.1:9/alerts") -> dict[str, Any]:
    return {"channels": [{"type": "webhook", "url": url}]}


def test_flapping_below_the_duration_fires_never(world: World) -> None:
    world.watch(duration="20s", notification=hook())
    world.beat(*[True, True, False] * 5)
    assert world.transitions() == each([])
    world.beat(True, True, True)
    assert world.transitions() == each(FIRING)


def test_flapping_of_what_keeps_firing_fires_once(world: World) -> None:
    world.watch(keepFiringFor="20s", notification=hook())
    world.beat(*[True, False, False] * 4)
    assert world.transitions() == each(FIRING)
    world.beat(False)
    assert world.transitions() == each(RESOLVED)


@pytest.mark.parametrize(
    ("policy", "firing", "healthy"),
    [("keep_state", FIRING, []), ("ok", RESOLVED, []), ("alert", FIRING, FIRING)],
)
def test_no_data_means_what_the_policy_says(
    world: World, policy: str, firing: list[str], healthy: list[str]
) -> None:
    world.watch(noData=policy, window="20s")
    world.now += TICK
    world.send(True, host="a")
    world.send(False, host="b")
    tick.run(now=world.now)
    world.tick(4)
    assert world.transitions(host="a") == each(firing)
    assert world.transitions(host="b") == each(healthy)


@pytest.mark.parametrize(("policy", "gone"), [("keep_state", FIRING), ("ok", RESOLVED)])
def test_one_series_of_many_is_gone(world: World, policy: str, gone: list[str]) -> None:
    world.watch(noData=policy, window="20s")
    for number in range(6):
        world.now += TICK
        if number == 0:
            world.send(True, host="gone")
        world.send(True, host="stays")
        world.send(False, host="well")
        tick.run(now=world.now)
    assert world.transitions(host="gone") == each(gone)
    assert world.transitions(host="stays") == each(FIRING)
    assert world.transitions(host="well") == each([])


def test_data_that_comes_late_is_waited_for(world: World) -> None:
    world.watch(noData="ok", window="20s", evaluationDelay="30s")
    # Each sample arrives 25 s after its time: it is there when its window is evaluated.
    for met, expected in ((True, []), (True, FIRING), (True, FIRING), (False, FIRING)):
        world.now += TICK
        world.send(met, ago=25, host="a")
        tick.run(now=world.now)
        assert world.transitions() == each(expected)
    world.tick()
    assert world.transitions() == each(RESOLVED)


def test_a_late_sample_undoes_nothing_that_a_newer_one_says(world: World) -> None:
    world.watch(window="1m")
    world.beat(True)
    for ago in (5, 15, 25):
        world.send(False, ago=ago, host="a")
        world.beat(True)
    assert world.transitions() == each(FIRING)


def test_samples_out_of_order_are_read_in_order(world: World) -> None:
    world.watch(window="1m")
    world.now += TICK
    for met, ago in ((True, 1), (False, 7), (True, 4), (False, 9)):
        world.send(met, ago=ago, host="a")
    tick.run(now=world.now)
    assert world.transitions() == each(FIRING)
    world.now += TICK
    for met, ago in ((False, 2), (True, 8), (True, 5)):
        world.send(met, ago=ago, host="a")
    tick.run(now=world.now)
    assert world.transitions() == each(RESOLVED)


@pytest.mark.parametrize(("policy", "expected"), [("keep_state", FIRING), ("ok", RESOLVED)])
def test_not_a_number_is_no_data(world: World, policy: str, expected: list[str]) -> None:
    # Zero divided by zero, times the value.
    world.watch(query="cpu_{} * on (host) (flag / flag)", noData=policy, window="20s")
    for flag in (1.0, 0.0, 0.0):
        world.now += TICK
        world.write({"flag": flag}, 1.0, {"host": "a"})
        world.send(True, host="a")
        tick.run(now=world.now)
    assert world.transitions() == each(expected)


def test_nan_among_the_samples_is_no_data(world: World, database_url: str) -> None:
    world.watch(noData="ok", window="20s")
    world.beat(False, True)
    world.now += TICK
    with psycopg.connect(database_url, autocommit=True, prepare_threshold=None) as connection:
        connection.execute(
            "insert into metrics_raw (series_id, time, value)"
            " select id, to_timestamp(%s), 'NaN' from metric_series",
            (world.now - 1,),
        )
    tick.run(now=world.now)
    assert world.transitions() == each(RESOLVED)


def test_a_tick_that_comes_twice_changes_nothing(world: World) -> None:
    world.watch(notification=hook())
    world.beat(False, True)
    world.send(False, ago=0.1, host="a")
    for again in (world.now, world.now, world.now - TICK, world.now - 5 * TICK):
        tick.reset()
        assert tick.run(now=again).evaluated == []
    assert world.transitions() == each(FIRING)
    assert world.sent() == each(FIRING)


def other(database_url: str, redis_url: str, *timestamps: float) -> subprocess.Popen[str]:
    """Another process that ticks at these timestamps once it is started."""
    process = subprocess.Popen(
        [sys.executable, "-c", _TICKS, *map(str, timestamps)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "DATABASE_URL": database_url, "REDIS_URL": redis_url},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def test_two_processes_tick_at_once_and_each_fires_once(world: World, database_url: str) -> None:
    world.watch(notification=hook())
    timestamps = []
    for met in (False, True, True, False, True, False):
        world.now += TICK
        world.send(met, host="a")
        timestamps.append(world.now)
    nowhere = "redis://127.0.0.1:1/0"
    with (
        other(database_url, nowhere, *timestamps) as process,
        other(database_url, nowhere, *timestamps) as second,
    ):
        for one in (process, second, process, second):
            go(one)
        assert second.wait(60) == 0
        assert process.wait(60) == 0
    assert world.transitions() == each(["resolved", "resolved"])


def test_killed_between_transaction_and_send_loses_nothing(
    world: World, database_url: str, redis_url: str
) -> None:
    world.watch(notification=hook())
    world.beat(False)
    world.now += TICK
    world.send(True, host="a")
    with other(database_url, redis_url, world.now) as process:
        go(process)
        assert process.stdout is not None
        claimed = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
    assert len(claimed) == len(CONDITIONS)
    assert world.transitions() == each(FIRING)
    tick.reset()
    assert world.beat(True).claims == []
    # The claims end by themselves.
    for _ in range(30):
        world.now += TICK
        world.send(True, host="a")
        again = tick.run(now=world.now)
        if again.claims:
            break
    assert {claim.idempotency_key for claim in again.claims} == set(claimed)
    claims = [claim.model_dump(mode="json", by_alias=True) for claim in again.claims]
    evaluate.handler(notify.handler({"claims": claims}, None), None)
    assert world.sent() == each(FIRING)


def test_a_flushed_cache_neither_fires_again_nor_resolves(world: World, redis_url: str) -> None:
    world.watch(notification=hook(), duration="10s")
    world.beat(False, True, True)
    for reset in (False, True):
        with redis.Redis.from_url(redis_url) as client:
            client.flushall()
        if reset:
            tick.reset()
        world.now += TICK
        # The samples stay away too: the session was in the cache.
        assert tick.run(now=world.now).evaluated
    login = {"email": "admin@example.com", "password": "correct horse battery"}
    assert world.http.post("/api/v1/auth/login", json=login).status_code == 200
    assert world.transitions() == each(FIRING)
    assert world.sent() == each(FIRING)
    world.beat(False)
    assert world.transitions() == each(RESOLVED)


def database_responds_again(seconds: float = 30) -> None:
    """Wait until the pool connects: a try that began in the outage ends first."""
    deadline = time.monotonic() + seconds
    while True:
        # By itself the breaker would try again some seconds later.
        database.breaker().close()
        try:
            with database.connection():
                return
        except Unavailable:
            assert time.monotonic() < deadline
            time.sleep(0.2)


@pytest.mark.parametrize("policy", ["keep_state", "ok", "alert"])
def test_the_database_away_for_a_minute_raises_and_resolves_nothing(
    world: World, proxy: Proxy, policy: str
) -> None:
    settings.cache_clear()
    world.watch(noData=policy, window="30s", duration="20s", notification=hook())
    for _ in range(4):
        world.now += TICK
        world.send(True, host="a")
        world.send(False, host="b")
        world.run()
    assert world.transitions() == each(FIRING)
    proxy.down()
    for _ in range(6):
        world.now += TICK
        with pytest.raises(Unavailable):
            tick.run(now=world.now)
    proxy.heal()
    database_responds_again()
    # What agents buffered comes only later: the windows of the ticks that were missed are empty.
    world.now += TICK
    assert len(tick.run(now=world.now).evaluated) == 7
    assert world.transitions(host="a") == each(FIRING)
    assert world.transitions(host="b") == each([])
    for _ in range(3):
        world.now += TICK
        world.send(False, host="a")
        world.send(False, host="b")
        world.run()
    assert world.transitions(host="a") == each(RESOLVED)
    assert world.transitions(host="b") == each([])
    assert world.sent() == each(["firing", "resolved"])
