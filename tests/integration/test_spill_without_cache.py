"""Spilling to a bucket whose depth is told by way of the cache, and the cache gone as well."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from fastapi.testclient import TestClient
from moto import mock_aws

from functions.drain import handler as drain
from pulseboard.contracts.status import SpillStatus
from pulseboard.settings import settings
from pulseboard.stores import cache, database, spill, spill_bucket
from tests.proxy import Proxy
from tests.pushing import now, stored

pytestmark = pytest.mark.integration
URL = "/api/v1/metrics"


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
    spill.forget()
    spill_bucket.client.cache_clear()
    with mock_aws():
        s3 = boto3.client("s3")
        s3.create_bucket(Bucket="spilled")
        assert agent.post(URL, json={"name": "first", "value": 1}).status_code == 200
        proxy.down()
        yield s3
    spill.forget()
    spill_bucket.client.cache_clear()


def lose_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    settings.cache_clear()
    cache.close()
    spill.forget()


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
    """Nobody knows its depth then: S3 itself is the bound."""
    spill.publish(SpillStatus(files=2, bytes=10, oldest_seconds=1, dead=0))
    lose_cache(monkeypatch)
    assert [push(agent, value) for value in range(2)] == [200] * 2
    assert bucket.list_objects_v2(Bucket="spilled")["KeyCount"] == 2
    proxy.heal()
    while drain.handler({}, None)["files"]:
        pass
    assert [row[2] for row in stored() if row[0] == "load"] == [0, 1]
    assert bucket.list_objects_v2(Bucket="spilled")["KeyCount"] == 0


def test_without_cache_and_bucket_nothing_is_acknowledged(
    bucket: Any, agent: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    lose_cache(monkeypatch)
    bucket.delete_bucket(Bucket="spilled")
    answer = agent.post(URL, json={"name": "load", "value": 1})
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
