"""Every double is a value: no sum, mean or refresh of a rollup fails for one."""

import math
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from fastapi.testclient import TestClient

from functions.evaluate import tick
from pulseboard.alerts.state_machine import TICK
from pulseboard.core.settings import settings
from pulseboard.db import database, float_sums
from tests.support.prometheus_messages import write_request

pytestmark = pytest.mark.integration

MOST = 1.7976931348623157e308
LEAST = 5e-324
SAMPLES = {
    "squares": [0.0, 1e155],
    "least": [LEAST, 0.0, 0.0],
    "overflow": [MOST, 1e308],
    "below": [-MOST, -1e308, LEAST],
    "back": [MOST, -MOST],
    "one": [MOST],
    "largest": [MOST, MOST, MOST],
    "mixed": [MOST, 1e308, 1.0, -3e307],
    "endless": [math.inf, 1.0],
    "plain": [0.1, 0.2, 0.3],
}
SUMS = {
    "squares": 1e155,
    "least": LEAST,
    "overflow": math.inf,
    "below": -math.inf,
    "back": 0.0,
    "one": MOST,
    "largest": math.inf,
    "mixed": math.inf,
    "endless": math.inf,
    "plain": 0.1 + 0.2 + 0.3,
}
MEANS = {name: total / len(SAMPLES[name]) for name, total in SUMS.items()}
# The sum overflows, the mean does not.
MEANS["overflow"] = MOST / 2 + 1e308 / 2
MEANS["largest"] = MOST
MEANS["mixed"] = MOST / 4 + 1e308 / 4 - 3e307 / 4
MEANS["below"] = -MOST / 3 - 1e308 / 3


@pytest.fixture(autouse=True)
def _notify_at_once(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("POWERTOOLS_METRICS_DISABLED", "true")
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.fixture
def hour(admin: TestClient, ingest_key: str) -> float:
    """The start of an hour that has passed, in whose first seconds are the samples."""
    start = time.time() // 3600 * 3600 - 2 * 3600
    lines = [
        ({"__name__": name}, [(int(start + n) * 1000, value) for n, value in enumerate(values, 1)])
        for name, values in SAMPLES.items()
    ]
    response = admin.post(
        "/api/v1/write",
        content=write_request(*lines),
        headers={"Authorization": f"Bearer {ingest_key}"},
    )
    assert response.status_code == 204, response.text
    return start


def close(value: float, wanted: float) -> bool:
    return value == wanted or math.isclose(value, wanted, rel_tol=1e-15)


def test_reads_of_raw_sum_and_average_any_doubles(admin: TestClient, hour: float) -> None:
    for name, wanted in SUMS.items():
        mean = MEANS[name]
        for expression, value in (
            (f"sum_over_time({name}[1m])", wanted),
            (f"avg_over_time({name}[1m])", mean),
            (f"sum(sum_over_time({name}[1m]))", wanted),
            (f"avg(avg_over_time({name}[1m]))", mean),
        ):
            body = {
                "query": expression,
                "start": int(hour * 1000),
                "end": int((hour + 60) * 1000),
                "step": "1m",
            }
            response = admin.post("/api/v1/query", json=body)
            assert response.status_code == 200, response.text
            (line,) = response.json()["data"]["series"]
            shown = line["values"][-1]
            assert shown is None if math.isinf(value) else close(shown, value), expression
            is_gap = any("infinite" in note for note in response.json()["meta"]["notes"])
            assert is_gap == math.isinf(value), expression


def test_rules_over_any_doubles_are_evaluated(admin: TestClient, hour: float) -> None:
    for name in SAMPLES:
        for reducer in ("avg", "sum"):
            body: dict[str, Any] = {
                "name": f"{reducer} {name}",
                "query": name,
                "condition": "gt",
                "threshold": 1e154,
                "reducer": reducer,
            }
            assert admin.post("/api/v1/alerts/rules", json=body).status_code == 201
    tick.run(now=hour + TICK)
    rules = admin.get("/api/v1/alerts/rules").json()["data"]
    assert {rule["name"]: rule["lastError"] for rule in rules} == {
        f"{reducer} {name}": None for name in SAMPLES for reducer in ("avg", "sum")
    }
    firing = {rule["name"] for rule in rules if rule["status"] == "firing"}
    assert firing == {
        f"{reducer} {name}"
        for reducer, wanted in (("sum", SUMS), ("avg", MEANS))
        for name in SAMPLES
        if wanted[name] > 1e154
    }


def test_rollups_take_any_doubles(admin: TestClient, hour: float, database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:

        def rows(table: str) -> dict[str, tuple[float, float]]:
            found = connection.execute(
                f"""
                select d.name, r.sum_value, r.avg_value from {table} r
                join metric_series s on s.id = r.series_id
                join metric_definitions d on d.id = s.metric_id
                where d.name = any(%s)
                """,
                (list(SAMPLES),),
            )
            return {name: (total, mean) for name, total, mean in found.fetchall()}

        before = rows("metrics_1min")
        for table in ("metrics_1min", "metrics_1hour"):
            connection.execute(f"call refresh_continuous_aggregate('{table}', null, null)")
        for found in (before, rows("metrics_1min"), rows("metrics_1hour")):
            assert len(found) == len(SAMPLES)
            for name, wanted in SUMS.items():
                total, mean = found[name]
                assert close(total, wanted), name
                assert close(mean, MEANS[name]), name


def test_sums_by_a_condition(stack: None) -> None:
    above_one, above_all = (
        float_sums.total("x", where=f"x > {limit}") for limit in ("1", "'Infinity'")
    )
    with database.connection() as connection:
        row = connection.execute(
            f"""
            select {above_one}, {above_all}
            from (values (1e308::float8), (9e307), (1), (2)) as v (x)
            """
        ).fetchone()
    assert row == (math.inf, None)
