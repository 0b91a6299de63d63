"""Spilling to S3 and the events that come of it, on moto's S3."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from functions.drain import handler
from pulseboard.catalogue.series_key import SeriesKey
from pulseboard.core.exceptions import Unavailable
from pulseboard.core.settings import settings
from pulseboard.ingest import samples_store, spill, spill_bucket
from pulseboard.ingest.batch import Batch
from pulseboard.ingest.spill_file import SpilledBatch, encode, file_name

EVENT = Path(__file__).parents[2] / "events" / "drain.json"


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[spill_bucket.SpillBucket]:
    """An empty bucket that this process spills to; there is no cache that holds its depth."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("PULSEBOARD_SPILL_BUCKET", "spilled")
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    settings.cache_clear()
    spill.reset()
    spill_bucket.client.cache_clear()
    with mock_aws():
        boto3.client("s3").create_bucket(Bucket="spilled")
        yield spill_bucket.SpillBucket("spilled")
    settings.cache_clear()
    spill.reset()
    spill_bucket.client.cache_clear()


def _batch(value: float) -> Batch:
    return Batch(series=[SeriesKey.of("cpu", {})], times=[1], values=[value])


def test_a_bucket_stores_reads_and_deletes(bucket: spill_bucket.SpillBucket) -> None:
    spill.put(_batch(1), key_id=None, arrived=7)
    ((name, size),) = bucket.waiting()
    data = bucket.read(name)
    assert data is not None
    assert len(data) == size
    assert name == file_name(data, arrived=7)
    bucket.set_aside(name, data, "no reason")
    bucket.remove(name)
    bucket.remove(name)
    assert (bucket.waiting(), bucket.dead(), bucket.read(name)) == ([], 1, None)
    keys = {o["Key"] for o in boto3.client("s3").list_objects_v2(Bucket="spilled")["Contents"]}
    assert keys == {f"dead/{name}", f"dead/{name}.reason.txt"}


def test_no_bucket_is_503(bucket: spill_bucket.SpillBucket) -> None:
    boto3.client("s3").delete_bucket(Bucket="spilled")
    with pytest.raises(Unavailable):
        spill.put(_batch(1), key_id=None, arrived=7)


def _event(*names: str) -> dict[str, Any]:
    event: dict[str, Any] = json.loads(EVENT.read_text(encoding="utf-8"))
    (first,) = event["Records"]
    notification = json.loads(first["body"])
    records = []
    for number, name in enumerate(names):
        notification["Records"][0]["s3"]["object"]["key"] = f"waiting/{name}"
        body = json.dumps(notification)
        records.append({**first, "messageId": str(number), "body": body})
    return {"Records": records}


def test_events_name_their_batches_and_only_trouble_is_sent_again(
    bucket: spill_bucket.SpillBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = encode(SpilledBatch(_batch(1), None, 7))
    names = [file_name(good, arrived=7), f"{8:015d}-noise.pbspill", f"{9:015d}-gone.pbspill"]
    bucket.put(names[0], good)
    bucket.put(names[1], b"noise")
    written: list[Batch] = []
    monkeypatch.setattr(
        samples_store, "write_late", lambda sent: written.extend(each.batch for each in sent)
    )
    assert handler.handler(_event(*names), None) == {"batchItemFailures": []}
    assert [batch.values for batch in written] == [[1.0]]
    assert (bucket.waiting(), bucket.dead()) == ([], 1)
    monkeypatch.setattr(spill_bucket.SpillBucket, "read", _no_response)
    assert handler.handler(_event(names[0]), None) == {
        "batchItemFailures": [{"itemIdentifier": "0"}]
    }


def _no_response(bucket: spill_bucket.SpillBucket, name: str) -> bytes | None:
    raise ConnectionError(name)


def test_the_test_message_of_a_new_notification_is_acknowledged(
    bucket: spill_bucket.SpillBucket,
) -> None:
    message = {"messageId": "1", "body": json.dumps({"Event": "s3:TestEvent"})}
    assert handler.handler({"Records": [message]}, None) == {"batchItemFailures": []}
