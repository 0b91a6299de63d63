"""Samples over HTTP into a real database, and the catalogue they make."""

import gzip
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from fastapi.testclient import TestClient

from pulseboard.core.settings import settings
from pulseboard.db import database
from pulseboard.ingest import samples_store
from pulseboard.ingest.batch import BatchLimits
from pulseboard.ingest.decoders import json_points
from tests.support.proxy import Proxy
from tests.support.stored_samples import lose_database, now, rows

pytestmark = pytest.mark.integration
URL = "/api/v1/metrics"


def point(**changes: Any) -> dict[str, Any]:
    return {"name": "cpu", "value": 1.0, "tags": {"host": "a"}, "timestamp": now(), **changes}


def test_partly_bad_batch_stores_the_valid_points(agent: TestClient) -> None:
    response = agent.post(URL, json=[point(), point(value="x"), point(name="mem")])
    assert response.status_code == 200, response.text
    data = response.json()["data"]
    assert (data["accepted"], data["rejected"]) == (2, 1)
    assert data["errors"] == [{"index": 1, "field": "value", "message": "must be a number"}]
    assert rows("select count(*) from metrics_raw") == [(2,)]
    wholly = agent.post(URL, json=[point(value="x")])
    assert wholly.status_code == 400
    assert wholly.json()["details"][0]["field"] == "points.0.value"


def test_replay_changes_nothing_and_a_new_value_wins(agent: TestClient) -> None:
    timestamp = now()
    for value, stored_value in ((1, 1), (1, 1), (2, 2)):
        assert agent.post(URL, json=point(value=value, timestamp=timestamp)).status_code == 200
        assert rows("select value from metrics_raw") == [(stored_value,)]
    assert rows("select extract(epoch from time) * 1000 = %s from metrics_raw", timestamp) == [
        (True,)
    ]


@pytest.mark.parametrize("headers", [{}, {"Content-Encoding": "gzip"}])
def test_gzip_whatever_the_headers(agent: TestClient, headers: dict[str, str]) -> None:
    body = gzip.compress(json.dumps([point()]).encode())
    headers = {**headers, "Content-Type": "application/octet-stream"}
    assert agent.post(URL, content=body, headers=headers).status_code == 200


def test_bodies_beyond_the_limits_are_413(agent: TestClient) -> None:
    limit = settings().ingest_max_body_bytes
    assert agent.post(URL, content=b" " * (limit + 1)).status_code == 413
    assert agent.post(URL, content=(b" " * 2**20 for _ in range(5))).status_code == 413
    bomb = gzip.compress(b" " * (settings().ingest_max_inflated_bytes + 1))
    assert agent.post(URL, content=bomb).status_code == 413


def test_sql_in_a_tag_is_text_and_order_of_tags_is_no_difference(agent: TestClient) -> None:
    nasty = "'; drop table metrics_raw; --"
    agent.post(URL, json=point(tags={"a": nasty, "b": "2", "c": ""}))
    agent.post(URL, json=point(tags={"b": "2", "a": nasty}))
    assert rows("select tags from metric_series") == [({"a": nasty, "b": "2"},)]


def test_a_deleted_metric_comes_back_whole(agent: TestClient) -> None:
    agent.post(URL, json=point())
    rows("delete from metric_definitions returning id")
    assert agent.post(URL, json=point()).status_code == 200
    assert rows(
        "select count(*) from metrics_raw r join metric_series s on s.id = r.series_id"
    ) == [(1,)]


def test_an_id_that_became_another_series_is_not_written_to(agent: TestClient) -> None:
    agent.post(URL, json=point())
    database.close()
    with psycopg.connect(settings().database_url.get_secret_value(), autocommit=True) as other:
        other.execute(
            "truncate metric_definitions, metric_series, series_end restart identity cascade"
        )
        other.execute("insert into metric_definitions (name) values ('other')")
        other.execute("insert into metric_series (metric_id, tags_hash) values (1, 'x')")
    assert agent.post(URL, json=point()).status_code == 200
    assert rows(
        "select d.name from metrics_raw r join metric_series s on s.id = r.series_id "
        "join metric_definitions d on d.id = s.metric_id order by r.time desc limit 1"
    ) == [("cpu",)]


def test_late_samples_and_replays_reach_the_columnstore(agent: TestClient) -> None:
    timestamp = now() - 86_400_000
    agent.post(URL, json=point(timestamp=timestamp))
    with database.connection() as connection:
        found = connection.execute("select show_chunks('metrics_raw')::text").fetchone()
        assert found
        connection.execute("call convert_to_columnstore(%s::regclass)", found)
    for changed in (point(timestamp=timestamp), point(timestamp=timestamp, value=5)):
        assert agent.post(URL, json=changed).status_code == 200
    assert agent.post(URL, json=point(timestamp=timestamp + 1)).status_code == 200
    assert rows("select value from metrics_raw order by time") == [(5,), (1,)]


def test_threads_that_meet_new_series_make_each_once(agent: TestClient) -> None:
    limits = BatchLimits(points=1000, tags=5, errors=1, max_age=3600, max_ahead=60, parts=1_000_000)
    timestamp = now()
    body = json.dumps([point(tags={"n": str(n)}, timestamp=timestamp) for n in range(200)]).encode()
    batch = json_points.parse(body, now=timestamp, limits=limits)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: samples_store.write(batch), range(8)))
    assert rows("select count(*) from metric_series") == [(200,)]
    assert rows("select count(*) from metrics_raw") == [(200,)]


def test_database_down_is_503_with_retry_after(
    agent: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    lose_database(monkeypatch)
    response = agent.post(URL, json=point())
    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) > 0


def test_catalogue(agent: TestClient) -> None:
    agent.post(URL, json=[point(), point(tags={"host": "b"}), point(name="cpu_x"), point(name="m")])
    listed = agent.get(URL, params={"prefix": "cpu", "pageSize": 1}).json()
    assert listed["meta"] == {"total": 2, "page": 1, "pageSize": 1}
    assert (listed["data"][0]["name"], listed["data"][0]["seriesCount"]) == ("cpu", 2)
    assert listed["data"][0]["lastSeen"]
    assert agent.get(URL, params={"prefix": "c%"}).json()["meta"]["total"] == 0
    [host] = agent.get(f"{URL}/cpu/tags", params={"limit": 1}).json()["data"]
    assert (host["key"], host["seriesCount"], host["truncated"]) == ("host", 2, True)
    assert host["values"] == [{"value": "a", "seriesCount": 1}]
    assert agent.get(f"{URL}/nothing/tags").status_code == 404


@pytest.mark.parametrize("after_bytes", [0, 50_000])
def test_a_database_lost_in_mid_transaction_is_503_and_stores_nothing(
    agent: TestClient, proxy: Proxy, after_bytes: int
) -> None:
    timestamp = now()
    agent.post(URL, json=point(timestamp=timestamp))
    proxy.cut_after(b"PGCOPY", more_bytes=after_bytes)
    many = [point(value=n, timestamp=timestamp - 1 - n) for n in range(5000)]
    response = agent.post(URL, json=many)
    assert response.status_code == 503, response.text
    assert int(response.headers["Retry-After"]) > 0
    proxy.heal()
    assert rows("select count(*) from metrics_raw") == [(1,)]
    assert agent.post(URL, json=many).status_code == 200
    assert rows("select count(*) from metrics_raw") == [(5001,)]


def test_series_beyond_the_limit_are_refused_and_name_the_tag(
    agent: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULSEBOARD_SERIES_MAX_PER_METRIC", "5")
    settings.cache_clear()
    points = [point(tags={"host": "a", "session": str(n)}) for n in range(8)]
    data = agent.post(URL, json=[*points, point(name="mem")]).json()["data"]
    assert (data["accepted"], data["rejected"]) == (6, 3)
    assert data["errors"][0]["index"] == 5
    assert 'the tag "session" has the most values' in data["errors"][0]["message"]
    assert agent.post(URL, json=points[7]).status_code == 400
    assert agent.post(URL, json=points[:5]).json()["data"]["accepted"] == 5
    assert rows("select count(*) from metric_series") == [(6,)]


def test_a_key_may_add_so_many_series_a_minute(
    agent: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULSEBOARD_SERIES_MAX_NEW_PER_MINUTE", "3")
    settings.cache_clear()
    points = [point(tags={"n": str(n)}) for n in range(5)]
    data = agent.post(URL, json=points).json()["data"]
    assert (data["accepted"], data["rejected"]) == (3, 2)
    assert "may add 3 series a minute" in data["errors"][0]["message"]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_full_body_fits_in_a_small_lambda(ingest_key: str) -> None:
    """The whole request, gateway event to committed rows, in a process of its own."""
    # Not ru_maxrss: a child inherits the peak of the process that started it, pytest's own.
    code = """
import base64, json, re, sys, time
now = int(time.time() * 1000)
points = [{"name": "cpu", "value": n, "tags": {"n": str(n), "pad": "x" * 320}, "timestamp": now}
  for n in range(10_000)]
body = json.dumps(points).encode()
assert 4_000_000 < len(body) < 4 * 2**20, len(body)
event = json.loads(open("events/ingest.json").read())
event["headers"] = {"authorization": "Bearer " + sys.argv[1], "content-type": "application/json"}
event["body"], event["isBase64Encoded"] = base64.b64encode(body).decode(), True
del points, body
from functions.ingest.handler import handler
response = handler(event, None)
assert json.loads(response["body"])["data"]["accepted"] == 10_000, response
status = open("/proc/self/status").read()
print(int(re.search(r"VmHWM:\\s+(\\d+) kB", status)[1]) // 1024)
"""
    ran = subprocess.run(
        [sys.executable, "-c", code, ingest_key], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout) < 256
    assert rows("select count(*) from metrics_raw") == [(10_000,)]
