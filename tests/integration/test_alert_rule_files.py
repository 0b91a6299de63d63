"""`pulseboard rules apply`, over the API: who a rule of a file is, and what is written."""

from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from pulseboard.agent import rules

pytestmark = pytest.mark.integration
API = "/api/v1/alerts/rules"

FULL = """
groups:
  - name: disks
    rules:
      - {alert: Full, expr: used > 0.8, for: 90m, labels: {severity: warning, of: '{{$labels.t}}'}}
      - {alert: Full, expr: used > 0.9, for: 0, labels: {severity: critical}}
"""


@pytest.fixture
def apply(admin: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Applies a text and returns what it printed; requests go to the app itself."""

    def forward(request: httpx.Request) -> httpx.Response:
        path = request.url.raw_path.decode()
        response = admin.request(
            request.method,
            path,
            content=request.content,
            headers={"Content-Type": "application/json"},
        )
        return httpx.Response(response.status_code, content=response.content)

    client = partial(httpx.Client, transport=httpx.MockTransport(forward))
    monkeypatch.setattr("pulseboard.agent.rules.httpx.Client", client)

    def run(text: str | None, *words: str, code: int = 0) -> list[str]:
        file = tmp_path / "rules.yml"
        file.write_text(text or "")
        command, *options = words or ("apply",)
        given = [] if text is None else [str(file)]
        result = CliRunner().invoke(
            rules.app, [command, *given, *options, "--url", str(admin.base_url), "--key", "k"]
        )
        assert result.exit_code == code, result.output
        return result.output.splitlines()

    return run


def stored(http: TestClient) -> dict[float, dict[str, Any]]:
    return {rule["threshold"]: rule for rule in http.get(API).json()["data"]}


def test_two_alerts_of_one_name_stay_two_and_only_what_differs_is_written(
    admin: TestClient, apply: Any
) -> None:
    assert apply(FULL) == ["created      Full", "created      Full"]
    first = stored(admin)
    assert set(first) == {0.8, 0.9}
    assert {rule["source"] for rule in first.values()} == {"disks/Full", "disks/Full/2"}
    assert apply(FULL) == ["unchanged    Full", "unchanged    Full"]
    assert apply(FULL.replace("0.9", "0.95")) == ["unchanged    Full", "updated      Full"]
    second = stored(admin)
    assert (second[0.8], second[0.95]["id"]) == (first[0.8], first[0.9]["id"])


def test_rules_that_come_from_no_file_are_taken_over_by_name_and_query(
    admin: TestClient, apply: Any
) -> None:
    made = [
        admin.post(
            API, json={"name": "Full", "query": query, "condition": "gt", "threshold": 0.9}
        ).json()["data"]["id"]
        for query in ("other", "used")
    ]
    assert apply(FULL) == ["updated      Full", "updated      Full"]
    assert sorted(rule["id"] for rule in stored(admin).values()) == sorted(made)
    assert stored(admin)[0.8]["id"] == made[1]


def test_a_change_that_changes_nothing_writes_nothing(admin: TestClient) -> None:
    body = {"name": "a", "query": "cpu", "condition": "gt", "threshold": 1, "duration": "60s"}
    made = admin.post(API, json=body).json()["data"]
    path = f"{API}/{made['id']}"
    assert admin.put(path, json={"threshold": 1, "labels": {}}).json()["data"] == made
    assert admin.put(path, json={**body, "version": 1}).json()["data"]["version"] == 1
    assert admin.put(path, json={"threshold": 2}).json()["data"]["version"] == 2
    assert admin.put(path, json={"threshold": 2, "version": 1}).status_code == 409


@pytest.mark.parametrize("field", ["message", "labels"])
def test_a_text_that_can_not_be_filled_is_refused_with_its_place(
    admin: TestClient, field: str
) -> None:
    text = "{{ range query `up` }}"
    value = text if field == "message" else {"team": text}
    body = {"name": "a", "query": "cpu", "condition": "gt", "threshold": 1, field: value}
    response = admin.post(API, json=body)
    assert response.status_code == 400
    (detail,) = response.json()["details"]
    assert detail["field"] == ("message" if field == "message" else "labels.team")
    assert "range is not supported" in detail["message"]


WHOLE = """
groups:
  - name: api
    interval: 30s
    query_offset: 20s
    limit: 500
    rules:
      - record: job:errors:rate5m
        expr: sum by (job) (rate(errors_total[5m]))
        labels:
          team: ops
      - alert: Errors
        expr: job:errors:rate5m / on (job) job:requests:rate5m > 0.05 and on (job) up
        for: 5m
        keep_firing_for: 10m
        labels:
          severity: page
          team: ops
        annotations:
          summary: '{{ $labels.job }} fails'
          description: '{{ with query "up" }}{{ . }}{{ end }}'
          runbook_url: https://example.com/errors
          dashboard: https://example.com/d/1
  - name: hosts/a
    rules:
      - alert: Hot
        expr: (temperature or heat) > 90
        labels:
          severity: critical
      - alert: Hot
        expr: temperature > 80
        labels:
          severity: warning
"""


def test_a_file_comes_back_with_its_groups_and_what_differs_is_shown(
    admin: TestClient, apply: Any
) -> None:
    changed = [line for line in apply(WHOLE, "diff", code=1) if line[0] in "+~-"]
    assert changed == [
        *("+ group api", "+ group hosts/a", "+ recording rule job:errors:rate5m"),
        *("+ alert rule Errors", "+ alert rule Hot", "+ alert rule Hot"),
    ]
    created = [line.split()[-1] for line in apply(WHOLE) if line.startswith("created")]
    assert created == ["job:errors:rate5m", "Errors", "Hot", "Hot"]
    assert all(line.startswith("note") for line in apply(WHOLE, "diff"))
    groups = admin.get("/api/v1/alerts/groups").json()["data"]
    assert [
        (one["name"], one["interval"], one["alerting"], one["recording"]) for one in groups
    ] == [
        ("api", "30s", 1, 1),
        ("hosts/a", None, 2, 0),
    ]
    text = "\n".join(line for line in apply(None, "export") if not line.startswith("note"))
    assert yaml.safe_load(text) == yaml.safe_load(WHOLE)
    other = text.replace("temperature > 80", "temperature > 85").replace(
        "interval: 30s", "interval: 1m"
    )
    assert [line for line in apply(other, "diff", code=1) if not line.startswith("note")] == [
        "~ group api",
        "    interval: '30s' -> '1m'",
        "~ alert rule Hot",
        "    threshold: 80.0 -> 85.0",
    ]
    apply(other)
    fewer = yaml.safe_dump(
        {
            "groups": [
                {**group, "rules": group["rules"][:1]} for group in yaml.safe_load(other)["groups"]
            ]
        }
    )
    assert [line for line in apply(fewer, "diff", code=1) if line.startswith("-")] == [
        "- Errors (group api): not in the file",
        "- Hot (group hosts/a): not in the file",
    ]
    assert apply(fewer, "apply", "--dry-run", "--prune")[-2:] == [
        "would be deleted  Errors",
        "would be deleted  Hot",
    ]
    assert len(admin.get(API).json()["data"]) == 3
    apply(fewer, "apply", "--prune")
    assert [rule["query"] for rule in admin.get(API).json()["data"]] == ["(temperature or heat)"]
    assert apply(fewer, "diff") == []


def test_what_prometheus_clients_are_told_can_be_evaluated_as_it_stands(
    admin: TestClient, apply: Any
) -> None:
    apply(WHOLE)
    fields = {"condition": "gt", "threshold": -0.5, "name": "Ours"}
    for query, more in (
        ("a or b", {}),
        ("a + b", {}),
        ("cpu", {"reducer": "max", "window": "5m"}),
        ("rate(cpu[1m])", {"reducer": "avg", "duration": "2m"}),
    ):
        assert admin.post(API, json={**fields, "query": query, **more}).status_code == 201
    found = admin.get("/prometheus/api/v1/rules").json()["data"]["groups"]
    assert [(group["name"], group["interval"], group["limit"]) for group in found] == [
        ("rules", 10, 0),
        ("api", 30, 500),
        ("hosts/a", 10, 0),
    ]
    ours, api, hosts = (group["rules"] for group in found)
    assert sorted(rule["query"] for rule in ours) == [
        "(a or b) > -0.5",
        "a + b > -0.5",
        "avg_over_time((rate(cpu[1m]))[2m:10s]) > -0.5",
        "max_over_time(cpu[5m]) > -0.5",
    ]
    assert [(rule["type"], rule["name"]) for rule in api] == [
        ("recording", "job:errors:rate5m"),
        ("alerting", "Errors"),
    ]
    assert api[1]["labels"]["severity"] == "page"
    assert api[1]["annotations"]["dashboard"] == "https://example.com/d/1"
    assert [rule["query"] for rule in hosts] == [
        "(temperature or heat) > 90",
        "temperature > 80",
    ]
    only = admin.get("/prometheus/api/v1/rules", params={"type": "record"}).json()["data"]["groups"]
    assert [[rule["name"] for rule in group["rules"]] for group in only] == [["job:errors:rate5m"]]
