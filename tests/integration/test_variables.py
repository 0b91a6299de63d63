"""Variables listed by the server: chains, each query, and what is chosen."""

import time
from typing import Any

import pytest
from fastapi.testclient import TestClient

from pulseboard.core.settings import settings

pytestmark = pytest.mark.integration


def send(client: TestClient, *series: tuple[str, dict[str, str], float]) -> None:
    points = [
        {"name": name, "tags": tags, "value": value, "timestamp": int(time.time() - 30) * 1000}
        for name, tags, value in series
    ]
    assert client.post("/api/v1/metrics", json=points).status_code == 200


def resolve(
    client: TestClient, *variables: dict[str, Any], **fields: Any
) -> dict[str, dict[str, Any]]:
    end = int(time.time() * 1000)
    body = {
        "variables": [{"type": "query", **variable} for variable in variables],
        "start": end - 3_600_000,
        "end": end + 15_000,
        **fields,
    }
    found = client.post("/api/v1/variables/resolve", json=body)
    assert found.status_code == 200, found.text
    return {each["name"]: each for each in found.json()["data"]}


def values(resolved: dict[str, Any]) -> list[str]:
    return [option["value"] for option in resolved["options"]]


@pytest.fixture
def hosts(admin: TestClient) -> TestClient:
    send(
        admin,
        ("uname", {"job": "node", "instance": "a:9100", "nodename": "a"}, 1),
        ("uname", {"job": "node", "instance": "b:9100", "nodename": "b"}, 1),
        ("uname", {"job": "mac", "instance": "c:9100", "nodename": "c"}, 1),
        ("load", {"instance": "a:9100"}, 3),
        ("load", {"instance": "b:9100"}, 0),
    )
    return admin


NAMED = '/instance="(?<value>[^"]+)".* (?<text>\\d+) /'

CHAIN: list[dict[str, Any]] = [
    {
        "name": "node",
        "query": 'label_values(uname{job="$job", nodename="$nodename"}, instance)',
        "default": ["gone:9100"],
    },
    {"name": "nodename", "query": 'label_values(uname{job="$job"}, nodename)'},
    {"name": "job", "query": "label_values(uname, job)", "default": ["node"]},
]


def test_a_chain_is_resolved_at_once_and_its_first_choice_has_data(hosts: TestClient) -> None:
    found = resolve(hosts, *CHAIN)
    assert [*found] == ["node", "nodename", "job"]
    assert (values(found["job"]), found["job"]["chosen"]["values"]) == (["mac", "node"], ["node"])
    assert values(found["nodename"]) == ["a", "b"]
    assert (values(found["node"]), found["node"]["chosen"]["values"]) == (["a:9100"], ["a:9100"])


def test_a_change_asks_only_for_what_depends_on_it(hosts: TestClient) -> None:
    given = [{"name": "job", "values": ["mac"]}]
    # What was chosen of the other job is no choice any more.
    wanted = [{"name": "nodename", "values": ["a"]}]
    found = resolve(hosts, CHAIN[0], CHAIN[1], given=given, wanted=wanted)
    assert found["nodename"]["chosen"]["values"] == ["c"]
    assert found["node"]["chosen"]["values"] == ["c:9100"]


@pytest.mark.parametrize(
    ("query", "regex", "expected"),
    [
        ("label_values(nodename)", None, ["a", "b", "c"]),
        ("label_values(__name__)", "/^(load|uname)$/", ["load", "uname"]),
        ("label_names()", "/^(job|node.*)$/", ["job", "nodename"]),
        ("label_names(load)", None, ["__name__", "instance"]),
        ("metrics(^una)", None, ["uname"]),
        ("query_result(load > 1)", '/instance="([^"]+)"/', ["a:9100"]),
        ("query_result(max_over_time(load[$__range]))", NAMED, ["a:9100", "b:9100"]),
        ('label_values({__name__=~"lo.d"}, instance)', "a.*", ["a:9100"]),
    ],
)  # fmt: skip
def test_each_query(hosts: TestClient, query: str, regex: str | None, expected: list[str]) -> None:
    found = resolve(hosts, {"name": "x", "query": query, "regex": regex})
    assert found["x"]["error"] is None
    assert sorted(values(found["x"])) == expected


def test_a_wrong_query_is_its_own_error(hosts: TestClient) -> None:
    found = resolve(
        hosts,
        {"name": "bad", "query": "label_values(up{, x)"},
        {"name": "job", "query": "label_values(job)"},
    )
    assert found["bad"]["error"]
    assert values(found["job"]) == ["mac", "node"]


def test_filters_are_added_to_each_selector(hosts: TestClient) -> None:
    end = int(time.time() * 1000)
    query = {"id": "a", "query": "sum(load) + sum(load)", "step": "15s"}
    body = {
        "start": end - 15_000,
        "end": end + 1,
        "queries": [
            {**query, "filters": [{"key": "instance", "operator": "=~", "value": "a.*"}]},
            {**query, "id": "b", "filters": [{"key": "instance", "operator": "=~", "value": "["}]},
        ],
    }
    good, bad = hosts.post("/api/v1/query/batch", json=body).json()["data"]
    assert good["result"]["data"]["series"][0]["values"][-1] == 6
    assert bad["error"]["details"][0]["field"] == "filters.0"


def test_an_imported_board_keeps_its_report_and_goes_back_as_it_came(admin: TestClient) -> None:
    source = {
        "schemaVersion": 39,
        "title": "Service",
        "uid": "abc",
        "panels": [
            {"id": 1, "type": "row", "title": "Row", "collapsed": True, "panels": [
                {"id": 2, "type": "stat", "title": "Up", "targets": [{"expr": "up"}],
                 "gridPos": {"x": 0, "y": 1, "w": 6, "h": 4}},
            ], "gridPos": {"x": 0, "y": 0, "w": 24, "h": 1}},
            {"id": 3, "type": "geomap", "title": "Map", "gridPos": {"y": 1, "w": 12, "h": 8}},
        ],
    }  # fmt: skip
    created = admin.post("/api/v1/dashboards/import", json={"document": source})
    assert created.status_code == 201, created.text
    board = created.json()["data"]["dashboard"]
    assert [panel["type"] for panel in board["panels"]] == ["row", "stat", "row", "unknown"]
    path = f"/api/v1/dashboards/{board['id']}"
    report = admin.get(f"{path}/import").json()["data"]["report"]
    assert report == created.json()["data"]["report"]
    assert admin.get(f"{path}/export/grafana").json()["data"] == source
    copy = admin.post(f"{path}/duplicate", json={}).json()["data"]
    exported = admin.get(f"/api/v1/dashboards/{copy['id']}/export/grafana").json()["data"]
    assert exported == {**source, "title": "Service (copy)"}
    own = admin.post("/api/v1/dashboards", json={"name": "Own"}).json()["data"]
    assert admin.get(f"/api/v1/dashboards/{own['id']}/import").status_code == 404


def test_no_variable_takes_others_with_it(hosts: TestClient) -> None:
    many = [f"ip-10-0-{n // 250}-{n % 250}.eu-central-1.compute.internal" for n in range(450)]
    found = resolve(
        hosts,
        {"name": "host", "type": "list", "values": many, "multi": True, "includeAll": True,
         "default": ["$__all"]},
        {"name": "long", "query": 'query_result(topk(5, up{host=~"$host"}))'},
        {"name": "nul", "query": 'label_values(uname{job="a\0b"}, instance)'},
        {"name": "fine", "query": "label_values(load, instance)"},
    )  # fmt: skip
    assert "20000" in found["long"]["error"].replace(",", "")
    assert "NUL" in found["nul"]["error"]
    assert values(found["fine"]) == ["a:9100", "b:9100"]


def test_all_variables_together_have_the_time_of_a_batch(
    hosts: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULSEBOARD_QUERY_BATCH_TIMEOUT", "0.000001")
    settings.cache_clear()
    found = resolve(hosts, {"name": "late", "query": "label_values(load, instance)"})
    assert "took 1e-06 s" in found["late"]["error"]
