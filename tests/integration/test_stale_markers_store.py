"""The ends of series are kept as long as the coarsest samples, and no longer."""

import math
from datetime import UTC, datetime, timedelta

import pytest
from fastapi.testclient import TestClient

from functions.maintain.handler import handler as maintain
from pulseboard.catalogue import stale_markers_store
from pulseboard.core.settings import settings
from pulseboard.db import database
from tests.support.prometheus_messages import write_request
from tests.support.pushing import now, rows

pytestmark = pytest.mark.integration


def end(agent: TestClient, *days: float) -> None:
    """A series of remote write that ended, with marks so many days ago beside today's."""
    moment = now()
    body = write_request(({"__name__": "up"}, [(moment - 1, 1.0), (moment, math.nan)]))
    answer = agent.post(
        "/api/v1/write", content=body, headers={"Content-Type": "application/x-protobuf"}
    )
    assert answer.status_code == 204
    with database.connection() as connection:
        connection.execute(
            "insert into series_end (series_id, time) select id, time"
            " from metric_series, unnest(%s::timestamptz[]) as time",
            ([datetime.now(UTC) - timedelta(days=ago) for ago in days],),
        )


def left() -> list[int]:
    """Ages of the marks in days, the oldest first."""
    return [
        round(row[0])
        for row in rows(
            "select extract(epoch from now() - time)::float8 / 86400 from series_end order by time"
        )
    ]


def test_maintain_removes_marks_older_than_any_sample(agent: TestClient) -> None:
    end(agent, 2000, 370, 366, 364, 100, 8)
    assert maintain({}, None)["pruned"] == 3
    assert left() == [364, 100, 8, 0]
    assert maintain({}, None)["pruned"] == 0


def test_the_longest_retention_counts(agent: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULSEBOARD_RETENTION_HOUR", str(20 * 86_400))
    settings.cache_clear()
    end(agent, 40, 25)
    assert maintain({}, None)["pruned"] == 1
    assert left() == [25, 0]


def test_marks_go_in_portions_the_oldest_first_until_the_time_is_over(agent: TestClient) -> None:
    end(agent, *(400 + day for day in range(5)))
    with database.connection() as connection:
        assert stale_markers_store.prune(connection, seconds=0, together=2) == 2
        assert left() == [402, 401, 400, 0]
        assert stale_markers_store.prune(connection, seconds=60, together=2) == 3
    assert left() == [0]


def test_marks_of_a_deleted_series_go_with_it(admin: TestClient, agent: TestClient) -> None:
    end(agent, 1)
    answer = admin.delete("/api/v1/usage/series", params={"selector": "up", "expect": 1})
    assert answer.status_code == 200
    assert left() == []
