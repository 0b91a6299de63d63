"""What rules record, and which alerts fire, compared with a Prometheus that has the same samples.

Each evaluates at its own times: values are steady, and counters grow evenly, so that the results
don't depend on when. Debian 12 has Prometheus 2.42.
"""

import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from fastapi.testclient import TestClient

from functions.evaluate import tick
from infra.local import services
from pulseboard.alerts import rule_files
from pulseboard.alerts.state_machine import TICK
from pulseboard.db import database
from tests.integration.test_promql_against_prometheus import _remote_write, _wait

pytestmark = pytest.mark.integration
Labels = dict[str, str]

RULES = """
groups:
  - name: recorded
    interval: 1s
    rules:
      - record: job:requests:rate1m
        expr: sum by (job) (rate(requests_total[1m]))
      - record: job:errors:ratio
        expr: sum by (job) (rate(requests_total{code="500"}[1m])) / job:requests:rate1m
        labels: {team: ops, kind: ""}
      - record: instance:memory:used
        expr: 1 - (memory_free or memory_cached) / on (instance) group_left () memory_total
      - record: :memory:top
        expr: topk(2, instance:memory:used)
      - record: memory:quantile
        expr: label_replace(quantile(0.5, memory_free), "q", "half", "", "")
      - record: instances:count
        expr: count_values("total", memory_total)
      - record: nothing:here
        expr: memory_free > 1e9
  - name: alerts
    interval: 1s
    rules:
      - {alert: Errors, expr: 'job:errors:ratio > 0.05', labels: {severity: page}}
      - alert: LowMemory
        expr: memory_free < 30 and on (instance) memory_total > 100
        labels: {severity: critical, at: '{{ $value }}', of: '{{ $labels.instance }}'}
      - {alert: NoCache, expr: memory_free unless memory_cached, labels: {severity: warning}}
      - {alert: Gone, expr: 'absent(up{job="gone"})', labels: {severity: warning}}
      - {alert: Never, expr: vector(1) > 2, labels: {severity: warning}}
      - {alert: Compared, expr: memory_free > memory_cached * 2, labels: {severity: info}}
      - {alert: Many, expr: (count(memory_total) > 2) * 2, labels: {severity: info}}
      - {alert: NaN, expr: 0 * (memory_free / 0) , labels: {severity: info}}
      - {alert: Later, expr: memory_total > 0, for: 1h, labels: {severity: info}}
"""
GAUGES = {
    "memory_free": {"a": 20.0, "b": 60.0, "c": 5.0},
    "memory_cached": {"a": 9.0, "b": 40.0},
    "memory_total": {"a": 128.0, "b": 128.0, "c": 64.0},
}
COUNTERS = {("api", "200"): 9.0, ("api", "500"): 1.0, ("web", "200"): 50.0, ("web", "500"): 0.5}


def samples(now: int) -> list[tuple[Labels, list[tuple[int, float]], list[int]]]:
    """Labels and samples (ms, value) of the last five minutes."""
    times = range(now - 300, now + 1, 10)
    found: list[tuple[Labels, list[tuple[int, float]], list[int]]] = []
    for name, values in GAUGES.items():
        for instance, value in values.items():
            labels = {"__name__": name, "instance": instance}
            found.append((labels, [(at * 1000, value) for at in times], []))
    for (job, code), rate in COUNTERS.items():
        labels = {"__name__": "requests_total", "job": job, "code": code}
        points = [(at * 1000, 1000 + rate * (at - times.start)) for at in times]
        found.append((labels, points, []))
    return found


def theirs(now: int, home: Path) -> tuple[Any, Any]:
    """The recorded series and the alerts of a Prometheus, once it has evaluated all rules."""
    binary = shutil.which("prometheus")
    if binary is None:
        pytest.skip("prometheus is not installed (Debian: apt install prometheus)")
    (home / "rules.yml").write_text(RULES)
    (home / "prometheus.yml").write_text("scrape_configs: []\nrule_files: [rules.yml]\n")
    address = f"127.0.0.1:{services.free_port()}"
    command = [
        *(binary, f"--config.file={home}/prometheus.yml", f"--storage.tsdb.path={home}/data"),
        *(f"--web.listen-address={address}", "--web.enable-remote-write-receiver"),
        "--log.level=error",
    ]
    with (
        Path(home / "log").open("wb") as log,
        subprocess.Popen(command, stdout=log, stderr=log) as process,
        httpx.Client(base_url=f"http://{address}/api/v1", trust_env=False, timeout=20) as client,
    ):
        try:
            _wait(client, process)
            headers = {
                "Content-Encoding": "snappy",
                "Content-Type": "application/x-protobuf",
                "X-Prometheus-Remote-Write-Version": "0.1.0",
            }
            sent = client.post("/write", content=_remote_write(samples(now)), headers=headers)
            assert sent.status_code == 204, sent.text
            return _evaluated(client, time.time())
        finally:
            process.kill()


def _evaluated(client: httpx.Client, since: float) -> tuple[Any, Any]:
    """What there is once each group has run twice after `since`: a rule may read a later one's."""
    query = '{__name__=~".*:.*"}'
    for _ in range(300):
        groups = client.get("/rules").json()["data"]["groups"]
        found = client.get("/query", params={"query": query}).json()["data"]["result"]
        runs = client.get(
            "/query", params={"query": f"min(count_over_time(ALERTS[1m] @ {since + 40:.0f}))"}
        ).json()["data"]["result"]
        if len(groups) == 2 and found and runs and float(runs[0]["value"][1]) >= 3:
            return found, client.get("/alerts").json()["data"]["alerts"]
        time.sleep(0.2)
    raise AssertionError("prometheus evaluated no rules")


def vector(found: Any) -> dict[tuple[tuple[str, str], ...], float]:
    return {tuple(sorted(one["metric"].items())): float(one["value"][1]) for one in found}


def alerts(found: Any) -> list[tuple[list[tuple[str, str]], str, float]]:
    return sorted(
        (sorted(one["labels"].items()), one["state"], round(float(one["value"] or "nan"), 6))
        for one in found
        if one["labels"]["alertname"] != "NaN"
    )


def test_recorded_series_and_alerts_are_those_of_prometheus(
    admin: TestClient, tmp_path: Path
) -> None:
    now = int(time.time()) - 2
    recorded, firing = theirs(now, tmp_path)
    points = [
        {
            "name": labels["__name__"],
            "tags": {key: value for key, value in labels.items() if key != "__name__"},
            "timestamp": at,
            "value": value,
        }
        for labels, values, _ in samples(now)
        for at, value in values
    ]
    assert admin.post("/api/v1/metrics", json=points).json()["data"]["rejected"] == 0
    # Prometheus may run a group each second; here a tick is ten.
    report = rule_files.read(yaml.safe_load(RULES.replace("interval: 1s", "interval: 10s")))
    assert (report.refused, report.notes) == ([], [])
    for group in report.groups:
        body = group.model_dump(mode="json", by_alias=True)
        assert admin.put("/api/v1/alerts/groups", json=body).status_code == 200
    for path, rules in (("recordings", report.recordings), ("rules", report.rules)):
        for rule in rules:
            body = rule.model_dump(mode="json", by_alias=True)
            assert admin.post(f"/api/v1/alerts/{path}", json=body).status_code == 201
    at = -(-now // TICK) * TICK
    tick.run(now=float(at - TICK))
    with database.connection() as connection:
        # As if ticks had followed each other for an hour: what is absent is absent.
        connection.execute("update alert_ticks set steady_since = steady_since - interval '1 hour'")
    tick.run(now=float(at))
    ours = admin.get(
        "/prometheus/api/v1/query", params={"query": '{__name__=~".*:.*"}', "time": str(at)}
    ).json()["data"]["result"]
    assert vector(ours) == pytest.approx(vector(recorded), rel=1e-9)
    assert len(ours) == 2 + 2 + 3 + 2 + 1 + 2
    found = admin.get("/prometheus/api/v1/alerts").json()["data"]["alerts"]
    assert alerts(found) == alerts(firing)
    names = {one["labels"]["alertname"] for one in found}
    # A NaN that is returned fires here as there; its value has no JSON.
    assert names == {one["labels"]["alertname"] for one in firing}
    assert "NaN" in names
