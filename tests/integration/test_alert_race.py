"""Ticks and claims in several processes at once."""

import os
import subprocess
import sys
import time

import psycopg
import pytest
from fastapi.testclient import TestClient

from pulseboard.stores import alert_state

_TICKS = """
import sys, json
from functions.evaluate import tick
print(json.dumps([tick.run(now=float(now)).evaluated for now in sys.argv[1:]]))
"""
_CLAIMS = """
import sys, time
import psycopg
from pulseboard.stores import alert_outbox
with psycopg.connect(sys.argv[1], autocommit=True, prepare_threshold=None) as connection:
    for _ in range(40):
        for claim in alert_outbox.claim(connection, now=time.time()):
            print(claim.idempotency_key)
"""
_GUARD = """
import sys
from uuid import uuid4
import psycopg
from pulseboard.stores import alert_state
runner = uuid4()
with psycopg.connect(sys.argv[1], autocommit=True, prepare_threshold=None) as connection:
    for tick in range(1, 101):
        stamp = alert_state.head(connection)
        with connection.transaction():
            if alert_state.begin_tick(connection, tick=tick, runner=runner, steady_since=0.0,
                                      rules_stamp=stamp and stamp.rules_stamp):
                print(tick)
"""


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
    # Without a cache no lease keeps them apart: the database must.
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
def test_each_tick_is_taken_by_one_process(plain_database: str) -> None:
    with psycopg.connect(plain_database, autocommit=True) as connection:
        connection.execute("truncate alert_ticks")
    first, second = both(_GUARD, plain_database)
    assert sorted(map(int, first + second)) == list(range(1, 101))


@pytest.mark.race
def test_each_notification_is_claimed_by_one_process(plain_database: str) -> None:
    with psycopg.connect(plain_database, autocommit=True) as connection:
        connection.execute("truncate alert_outbox")
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
            select 'k' || n, 'g' || n, %s, %s from generate_series(1, 500) n
            """,
            (
                alert_state.as_jsonb({"type": "webhook", "url": "http://127.0.0.1:9/"}),
                alert_state.as_jsonb(payload),
            ),
        )
    first, second = both(_CLAIMS, plain_database)
    assert len(first + second) == len(set(first + second)) == 500
