"""Spilling to a bucket whose depth is shared through the cache, while the cache is down as well."""

import time
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from fastapi.testclient import TestClient
from moto import mock_aws

from functions.drain import handler as drain
from pulseboard.contracts.spill import SpillStatus
from pulseboard.core.settings import settings
from pulseboard.db import cache, database
from pulseboard.ingest import spill, spill_bucket
from tests.support.proxy import Proxy
from tests.support.stored_samples import now, stored

pytestmark = pytest.mark.integration
URL = "/api/v1/metrics"
NOWHERE = "redis://127.0.0.1:1/0"


@pytest.fixture
def bucket(agent: TestClient, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The bucket to which this process spills, since its database is away."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("PULSEBOARD_SPILL_BUCKET", "spilled")
    monkeypatch.setenv("PULSEBOARD_SPILL_MAX_FILES", "2")
    monkeypatch.setenv("PULSEBOARD_SPILL_PAUSE", "0.1")
    settings.cache_clear()
    database.close()
    spill.reset()
    spill_bucket.client.cache_clear()
    with mock_aws():
        s3 = boto3.client("s3")
        s3.create_bucket(Bucket="spilled")
        assert agent.post(URL, json={"name": "first", "value": 1}).status_code == 200
        proxy.down()
        yield s3
    spill.reset()
    spill_bucket.client.cache_clear()


def use_cache(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("REDIS_URL", url)
    settings.cache_clear()
    cache.close()


def lose_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """And with it all that this process knows."""
    use_cache(monkeypatch, NOWHERE)
    spill.reset()


def until_taken(agent: TestClient, value: int) -> None:
    """The bucket is read again each second."""
    deadline = time.monotonic() + 20
    while push(agent, value) != 200:
        assert time.monotonic() < deadline
        time.sleep(0.2)


def push(agent: TestClient, value: int) -> int:
    point = {"name": "load", "value": value, "tags": {"n": str(value)}, "timestamp": now()}
    return int(agent.post(URL, json=point).status_code)


def test_a_depth_that_is_known_bounds_the_bucket(bucket: Any, agent: TestClient) -> None:
    spill.publish(SpillStatus(files=2, bytes=10, oldest_seconds=1, dead=0))
    assert push(agent, 1) == 503
    assert bucket.list_objects_v2(Bucket="spilled")["KeyCount"] == 0


def test_without_a_cache_what_is_acknowledged_is_in_the_bucket(
    bucket: Any, agent: TestClient, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody knows its depth then; what this process may put is bounded all the same."""
    spill.publish(SpillStatus(files=2, bytes=10, oldest_seconds=1, dead=0))
    lose_cache(monkeypatch)
    assert [push(agent, value) for value in range(3)] == [200, 200, 503]
    assert bucket.list_objects_v2(Bucket="spilled")["KeyCount"] == 2
    proxy.heal()
    while drain.handler({}, None)["files"]:
        pass
    assert [row[2] for row in stored() if row[0] == "load"] == [0, 1]
    assert bucket.list_objects_v2(Bucket="spilled")["KeyCount"] == 0


def test_when_the_depth_is_lost_the_process_begins_its_own_count_and_ends_it_when_it_is_known(
    bucket: Any, agent: TestClient, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    spill.publish(SpillStatus(files=2, bytes=10, oldest_seconds=1, dead=0))
    assert push(agent, 0) == 503
    use_cache(monkeypatch, NOWHERE)
    until_taken(agent, 1)
    assert [push(agent, value) for value in (2, 3)] == [200, 503]
    use_cache(monkeypatch, redis_url)
    spill.publish(SpillStatus(files=1, bytes=10, oldest_seconds=1, dead=0))
    until_taken(agent, 4)
    # What drain published holds, for a second; this process counts its own on.
    assert bucket.list_objects_v2(Bucket="spilled")["KeyCount"] == 3


def test_a_quiet_time_ends_the_processes_own_count(
    bucket: Any, agent: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    lose_cache(monkeypatch)
    assert [push(agent, value) for value in range(3)] == [200, 200, 503]
    monkeypatch.setattr(spill, "_QUIET", 0.0)
    until_taken(agent, 3)


def test_without_cache_and_bucket_nothing_is_acknowledged(
    bucket: Any, agent: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    lose_cache(monkeypatch)
    bucket.delete_bucket(Bucket="spilled")
    response = agent.post(URL, json={"name": "load", "value": 1})
    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) > 0
