"""Stale markers are stored as long as the coarsest samples, and no longer."""

import math
from datetime import UTC, datetime, timedelta

import pytest
from fastapi.testclient import TestClient

from functions.maintain.handler import handler as maintain
from pulseboard.catalogue import stale_markers_store
from pulseboard.core.settings import settings
from pulseboard.db import database
from tests.support.prometheus_messages import write_request
from tests.support.stored_samples import now, rows

pytestmark = pytest.mark.integration


def mark_stale(agent: TestClient, *days: float) -> None:
    """Write a series with a stale marker of now, and one for each of these ages in days."""
    timestamp = now()
    body = write_request(({"__name__": "up"}, [(timestamp - 1, 1.0), (timestamp, math.nan)]))
    response = agent.post(
        "/api/v1/write", content=body, headers={"Content-Type": "application/x-protobuf"}
    )
    assert response.status_code == 204
    with database.connection() as connection:
        connection.execute(
            "insert into series_end (series_id, time) select id, time"
            " from metric_series, unnest(%s::timestamptz[]) as time",
            ([datetime.now(UTC) - timedelta(days=ago) for ago in days],),
        )


def ages() -> list[int]:
    """Ages of the stale markers in days, the oldest first."""
    return [
        round(row[0])
        for row in rows(
            "select extract(epoch from now() - time)::float8 / 86400 from series_end order by time"
        )
    ]


def test_maintain_removes_stale_markers_older_than_any_sample(agent: TestClient) -> None:
    mark_stale(agent, 2000, 370, 366, 364, 100, 8)
    assert maintain({}, None)["pruned"] == 3
    assert ages() == [364, 100, 8, 0]
    assert maintain({}, None)["pruned"] == 0


def test_the_longest_retention_counts(agent: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULSEBOARD_RETENTION_HOUR", str(20 * 86_400))
    settings.cache_clear()
    mark_stale(agent, 40, 25)
    assert maintain({}, None)["pruned"] == 1
    assert ages() == [25, 0]


def test_stale_markers_are_removed_in_portions_the_oldest_first_until_the_time_is_over(
    agent: TestClient,
) -> None:
    mark_stale(agent, *(400 + day for day in range(5)))
    with database.connection() as connection:
        assert stale_markers_store.prune(connection, seconds=0, together=2) == 2
        assert ages() == [402, 401, 400, 0]
        assert stale_markers_store.prune(connection, seconds=60, together=2) == 3
    assert ages() == [0]


def test_stale_markers_of_a_deleted_series_are_removed_with_it(
    admin: TestClient, agent: TestClient
) -> None:
    mark_stale(agent, 1)
    response = admin.delete("/api/v1/usage/series", params={"selector": "up", "expect": 1})
    assert response.status_code == 200
    assert ages() == []
