"""Ticks and claims in several processes at once."""

import contextlib
import os
import re
import subprocess
import sys
import time
from uuid import uuid4

import psycopg
import pytest
from fastapi.testclient import TestClient

from pulseboard.alerts import state_store
from pulseboard.core.exceptions import Unavailable
from pulseboard.core.settings import settings
from pulseboard.db.migrate import available

_TICKS = """
import sys, json
from functions.evaluate import tick
print(json.dumps([tick.run(now=float(now)).evaluated for now in sys.argv[1:]]))
"""
_CLAIMS = """
import sys, time
import psycopg
from pulseboard.alerts import notifier
with psycopg.connect(sys.argv[1], autocommit=True, prepare_threshold=None) as connection:
    for _ in range(40):
        for claim in notifier.claim(connection, now=time.time()):
            print(claim.idempotency_key)
"""
_GUARD = """
import sys
from uuid import uuid4
import psycopg
from pulseboard.alerts import state_store
runner = uuid4()
with psycopg.connect(sys.argv[1], autocommit=True, prepare_threshold=None) as connection:
    for tick in range(1, 101):
        stamp = state_store.head(connection)
        with connection.transaction():
            if state_store.begin_tick(connection, tick=tick, runner=runner, stable_since=0.0,
                                      rules_stamp=stamp and stamp.rules_stamp):
                print(tick)
"""


_PLAIN_SAMPLES = """
create table if not exists metrics_raw (
  series_id integer, time timestamptz, value double precision, unique (series_id, time)
);
create or replace function last_step(float8[], float8, timestamptz) returns float8[]
  language sql immutable as $$
    select case when $1 is null or extract(epoch from $3) >= $1[1]
      then array[extract(epoch from $3)::float8, $2] else $1 end
  $$;
create or replace function last_end(float8[]) returns float8
  language sql immutable as 'select $1[2]';
create or replace aggregate last(float8, timestamptz)
  (sfunc = last_step, stype = float8[], finalfunc = last_end);
truncate metrics_raw, metric_definitions, alert_rules, alert_events, alert_outbox, alert_ticks,
  alert_channels, alert_notified
  restart identity cascade;
"""
"""What ticks read, where TimescaleDB isn't: a table, and its `last`."""

_FUNCTIONS = re.compile(r"^create function float8_.*?\$\$.*?\$\$.*?;$", re.MULTILINE | re.DOTALL)
"""The functions of sums that no TimescaleDB is needed for."""


def both(*command: str, **environment: str) -> list[list[str]]:
    """The lines that two processes printed, which ran at once."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **environment},
            text=True,
        )
        for _ in range(2)
    ]
    outputs = []
    for process in processes:
        output, problems = process.communicate(timeout=120)
        assert process.returncode == 0, problems
        outputs.append(output.split())
    return outputs


@pytest.mark.integration
def test_ticks_that_overlap_in_two_processes_fire_once(
    admin: TestClient, database_url: str, redis_url: str
) -> None:
    now = time.time() // 10 * 10 - 3600
    body = {
        "name": "high",
        "query": "cpu",
        "condition": "gt",
        "threshold": 90,
        "notification": {"channels": [{"type": "webhook", "url": "http://127.0.0.1:9/"}]},
    }
    assert admin.post("/api/v1/alerts/rules", json=body).status_code == 201
    points = [
        {"name": "cpu", "tags": {"host": str(n)}, "value": 95, "timestamp": int(now * 1000)}
        for n in range(20)
    ]
    assert admin.post("/api/v1/metrics", json=points).status_code == 200
    both(
        _TICKS,
        *(str(now + 10 * n) for n in range(1, 6)),
        DATABASE_URL=database_url,
        REDIS_URL="redis://127.0.0.1:1/0",
        POWERTOOLS_METRICS_DISABLED="true",
    )
    events = admin.get("/api/v1/alerts/events").json()
    assert events["meta"]["total"] == 20
    assert admin.get("/api/v1/alerts/deliveries").json()["meta"]["total"] == 1


@pytest.mark.race
def test_each_tick_is_claimed_by_one_process(plain_database: str) -> None:
    with psycopg.connect(plain_database, autocommit=True) as connection:
        connection.execute("truncate alert_ticks")
    first, second = both(_GUARD, plain_database)
    assert sorted(map(int, first + second)) == list(range(1, 101))


@pytest.mark.race
def test_two_processes_tick_on_a_server_of_many_and_each_condition_fires_once(
    plain_database: str,
) -> None:
    """Transactions truly overlap here, which the embedded database's never do."""
    met = {"gt": 91, "gte": 90, "lt": 89, "lte": 90, "eq": 90, "ne": 1}
    unmet = {"gt": 90, "gte": 89, "lt": 90, "lte": 91, "eq": 91, "ne": 90}
    pattern = [False, True, True, False, False, True, False, True]
    now = time.time() // 10 * 10 - 3600
    with psycopg.connect(plain_database, autocommit=True) as connection:
        connection.execute(_PLAIN_SAMPLES)
        for function in _FUNCTIONS.findall(
            next(one.text for one in available() if one.number == 80)
        ):
            connection.execute(function.replace("create function", "create or replace function"))
        row = connection.execute(
            "insert into alert_channels (name, config) values ('race', %s) returning id::text",
            (state_store.as_jsonb({"type": "webhook", "url": "http://127.0.0.1:9/"}),),
        ).fetchone()
        assert row is not None
        channel = row[0]
        for condition in met:
            series = connection.execute(
                """
                with d as (insert into metric_definitions (name) values (%(metric)s) returning id)
                insert into metric_series (metric_id, tags, tags_hash)
                select id, '{"host": "a"}', decode(md5(%(metric)s), 'hex') from d returning id
                """,
                {"metric": f"race_{condition}"},
            ).fetchone()
            assert series is not None
            connection.execute(
                """
                insert into alert_rules (name, query, condition, threshold, notification)
                values (%s, %s, %s, 90, %s)
                """,
                (
                    condition,
                    f"race_{condition}",
                    condition,
                    state_store.as_jsonb(
                        {
                            "channels": [{"type": "saved", "id": channel}],
                            "group_wait": "0s",
                            "group_interval": "0s",
                        }
                    ),
                ),
            )
            connection.cursor().executemany(
                "insert into metrics_raw values (%s, to_timestamp(%s), %s)",
                [
                    (series[0], now + 10 * n - 1, (met if breach else unmet)[condition])
                    for n, breach in enumerate(pattern)
                ],
            )
    both(
        _TICKS,
        *(str(now + 10 * n) for n in range(len(pattern))),
        DATABASE_URL=plain_database,
        REDIS_URL="redis://127.0.0.1:1/0",
        POWERTOOLS_METRICS_DISABLED="true",
    )
    with psycopg.connect(plain_database, autocommit=True) as connection:
        events = connection.execute(
            "select rule_name, array_agg(status order by triggered_at) from alert_events group by 1"
        ).fetchall()
        assert dict(events) == {key: ["resolved", "resolved", "firing"] for key in met}
        notified = connection.execute(
            "select count(*), count(distinct idempotency_key) from alert_outbox"
        ).fetchone()
        # Nothing was acknowledged: what comes later waits.
        assert notified == (len(met), len(met))


@pytest.mark.race
def test_each_notification_is_claimed_by_one_process(plain_database: str) -> None:
    with psycopg.connect(plain_database, autocommit=True) as connection:
        connection.execute("truncate alert_outbox, alert_notified, alert_state")
        payload = {
            "rule_id": "x",
            "rule_name": "x",
            "severity": "info",
            "threshold": 1,
            "alerts": [{"status": "firing", "tags": {}, "value": 1, "reason": "", "started": 1}],
        }
        connection.execute(
            """
            insert into alert_outbox (idempotency_key, group_key, channel, payload)
            select 'k' || n, 'test:' || n, %s, %s from generate_series(1, 500) n
            """,
            (
                state_store.as_jsonb({"type": "webhook", "url": "http://127.0.0.1:9/"}),
                state_store.as_jsonb(payload),
            ),
        )
    first, second = both(_CLAIMS, plain_database)
    assert len(first + second) == len(set(first + second)) == 500


@pytest.mark.race
def test_a_client_that_vanishes_does_not_hold_the_ticks(
    plain_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its transaction is ended by the server, and a tick waits for it only so long."""
    monkeypatch.setenv("PULSEBOARD_ALERT_LOCK_TIMEOUT", "1")
    settings.cache_clear()
    with (
        psycopg.connect(plain_database, autocommit=True) as waiting,
        psycopg.connect(plain_database, autocommit=True) as vanished,
    ):
        vanished.execute("begin")
        state_store.rules_changed(vanished)
        # It says nothing more. Another waits, at most as long as that, and then has the lock.
        with contextlib.suppress(Unavailable), waiting.transaction():
            state_store.rules_changed(waiting)
        with waiting.transaction():
            state_store.rules_changed(waiting)
        with pytest.raises(psycopg.Error):
            vanished.execute("select 1")
    settings.cache_clear()


@pytest.mark.race
def test_a_tick_waits_for_a_lock_only_so_long(
    plain_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULSEBOARD_ALERT_LOCK_TIMEOUT", "0.2")
    settings.cache_clear()
    with (
        psycopg.connect(plain_database, autocommit=True) as busy,
        psycopg.connect(plain_database, autocommit=True) as waiting,
        busy.transaction(),
    ):
        # Not one of ours, and not idle for long: nobody ends it.
        busy.execute("insert into alert_ticks (single) values (true) on conflict do nothing")
        busy.execute("select from alert_ticks for update")
        with pytest.raises(Unavailable), waiting.transaction():
            state_store.begin_tick(
                waiting, tick=10**9, runner=uuid4(), stable_since=0.0, rules_stamp=None
            )
    settings.cache_clear()
