"""A catalogue of 200,000 series of pods that are gone beside 100 that live: whatever is asked about
the living reads the living.

Rows are counted, not seconds: each statement that reads the catalogue is explained beside it.
"""

import json
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from fastapi.testclient import TestClient

from functions.evaluate import tick
from pulseboard.catalogue import cardinality_queries, intervals_store, series_cache
from pulseboard.catalogue.series_key import SeriesKey
from pulseboard.core.settings import settings
from pulseboard.db import database
from pulseboard.ingest import samples_store
from pulseboard.ingest.batch import Batch
from pulseboard.usage import store as usage_store

pytestmark = pytest.mark.integration
DEAD, LIVE = 200_000, 100
MOST = 20 * LIVE
"""Rows of the catalogue that one statement may read."""
_READS = re.compile(
    r"\s*(select|with)\b(?!.*\b(update|delete|insert)\b)", re.IGNORECASE | re.DOTALL
)


class Reads:
    """The rows of `metric_series` that statements have read, by the statement."""

    def __init__(self) -> None:
        self.rows: dict[str, int] = {}
        self._execute = psycopg.Cursor.execute
        self._busy = False

    def execute(self, cursor: Any, query: Any, params: Any = None, **options: Any) -> Any:
        """Takes the place of `Cursor.execute`."""
        text = query.decode() if isinstance(query, bytes) else query
        text = text if isinstance(text, str) else text.as_string(cursor)
        if not self._busy and "metric_series" in text and _READS.match(text):
            self._busy = True
            try:
                plain = psycopg.Cursor(cursor.connection)
                self._execute(plain, f"explain (analyze, format json) {text}".encode(), params)
                row = plain.fetchone()
                assert row is not None
                plan = row[0] if isinstance(row[0], list) else json.loads(row[0])
                self.rows[text] = max(self.rows.get(text, 0), _rows(plan[0]["Plan"]))
            finally:
                self._busy = False
        return self._execute(cursor, query, params, **options)


def _rows(node: dict[str, Any]) -> int:
    read = 0
    index = node.get("Index Name", "") if node["Node Type"] == "Bitmap Index Scan" else ""
    if node.get("Relation Name") == "metric_series" or index.startswith("metric_series"):
        kept = node["Actual Rows"] + sum(
            node.get(name, 0)
            for name in ("Rows Removed by Filter", "Rows Removed by Index Recheck")
        )
        read = round(kept * node["Actual Loops"])
    return read + sum(map(_rows, node.get("Plans", ())))


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Reads:
    """What is read from the catalogue."""
    found = Reads()
    monkeypatch.setattr(
        psycopg.Cursor,
        "execute",
        lambda cursor, query, params=None, **options: found.execute(
            cursor, query, params, **options
        ),
    )
    return found


def _live() -> list[SeriesKey]:
    return [SeriesKey.of("cpu", {"pod": f"live-{n}", "app": "web"}) for n in range(LIVE)]


def _send(keys: list[SeriesKey], at: float) -> int:
    batch = Batch(series=keys, times=[round(at * 1000)] * len(keys), values=[1.0] * len(keys))
    samples_store.write(batch)
    return batch.rejected


def _add_dead(count: int) -> None:
    """Dead series of `cpu`, of the last 300 days, the latest gone for three."""
    with database.connection() as connection:
        connection.execute(
            """
            insert into metric_series
              (metric_id, tags, tags_hash, created_at, last_seen, last_seen_day)
            select d.id, jsonb_build_object('pod', 'dead-' || n, 'app', 'web'),
              sha256(n::text::bytea), t.gone - interval '1 hour', t.gone, t.gone
            from metric_definitions d, generate_series(1, %(count)s) n,
              lateral (select now() - interval '3 days' - n * interval '2 minutes' as gone) t
            where d.name = 'cpu'
            """,
            {"count": count},
        )
        connection.execute("analyze metric_series")


def test_what_is_asked_about_the_living_reads_the_living(
    admin: TestClient, reads: Reads, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Two more series for each alert would live, too.
    monkeypatch.setenv("PULSEBOARD_ALERT_SERIES", "false")
    settings.cache_clear()
    now = time.time()
    for ago in (30, 20, 10):
        assert _send(_live(), now - ago) == 0
    _add_dead(DEAD)
    body = {
        "name": "rule", "query": "sum(cpu)", "condition": "gt", "threshold": 0,
        "duration": "0s", "window": "5m",
    }  # fmt: skip
    assert admin.post("/api/v1/alerts/rules", json=body).status_code == 201
    for text in ("cpu", 'cpu{pod=~"live.*"}'):
        more = {**body, "name": text, "query": text}
        assert admin.post("/api/v1/alerts/rules", json=more).status_code == 201

    def query(text: str) -> Callable[[], None]:
        def run() -> None:
            window = {"start": round(now - 3600) * 1000, "end": round(now) * 1000}
            response = admin.post("/api/v1/query", json={"query": text, **window})
            assert response.status_code == 200, response.text

        return run

    def get(path: str, **params: Any) -> Callable[[], None]:
        def run() -> None:
            response = admin.get(f"/api/v1{path}", params=params)
            assert response.status_code == 200, response.text

        return run

    def new_pods() -> None:
        keys = [SeriesKey.of("cpu", {"pod": f"new-{n}", "app": "web"}) for n in range(5)]
        assert _send(keys, now) == 0

    def recount() -> None:
        with database.connection() as connection:
            cardinality_queries.recount(connection)
            intervals_store._measure(
                connection,
                ids=[row[0] for row in connection.execute("select id from metric_definitions")],
                now=datetime.fromtimestamp(now, UTC),
            )

    operations: dict[str, Callable[[], Any]] = {
        "a panel": query("cpu"),
        "a sum": query("sum by (app) (cpu)"),
        "a rate": query("sum(rate(cpu[5m]))"),
        "a pattern": query('count(cpu{pod=~"live-1.*"})'),
        "a selector without a name": query('count({app="web"})'),
        "rules": lambda: tick.run(now=now),
        "label values": get("/metrics/cpu/tags"),
        "the list of metrics": get("/metrics"),
        "usage": get("/usage"),
        "usage by metric": get("/usage/metrics"),
        "usage of a metric": get("/usage/metrics/cpu"),
        "usage by tag": get("/usage/tags"),
        "usage by series": get("/usage/series", selector="cpu"),
        "usage by some series": get("/usage/series", selector='cpu{pod=~"live.*"}'),
        "ingest of new pods": new_pods,
        "counting for limits": recount,
    }
    too_many: dict[str, dict[str, int]] = {}
    for name, operation in operations.items():
        series_cache.reset()
        usage_store.invalidate_cache()
        reads.rows.clear()
        operation()
        assert reads.rows or name == "counting for limits", f"{name} has read nothing"
        beyond = {text: rows for text, rows in reads.rows.items() if rows > MOST}
        if beyond:
            too_many[name] = beyond
    assert not too_many
