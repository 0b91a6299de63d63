"""What functions write for CloudWatch, against what alarms and graphs read: name, dimensions, unit.

Each function runs on its event under Amazon's runtime client, with the stage of the template.
"""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.local import invoke, runtime_api
from pulseboard.core.observability import NAMESPACE
from tests.infra.conftest import Assembly

pytestmark = [pytest.mark.infra, pytest.mark.integration, pytest.mark.timeout(400)]

Metric = tuple[str, frozenset[tuple[str, str]]]
"""Name and dimensions."""


def _joined(value: Any) -> Any:
    """A string of a template, with a word for each thing that AWS fills in."""
    if isinstance(value, dict) and "Fn::Join" in value:
        return value["Fn::Join"][0].join(_joined(part) for part in value["Fn::Join"][1])
    return value if isinstance(value, str) else json.dumps(value).replace('"', "")


def _alarms(assembly: Assembly) -> dict[str, Metric]:
    """Metrics of ours that alarms read, by the alarm's name."""
    return {
        properties["AlarmName"]: (
            properties["MetricName"],
            frozenset((d["Name"], _joined(d["Value"])) for d in properties.get("Dimensions", [])),
        )
        for _, alarm in assembly.resources("AWS::CloudWatch::Alarm")
        for properties in [alarm["Properties"]]
        if properties.get("Namespace") == NAMESPACE
    }


def _graphs(assembly: Assembly) -> set[Metric]:
    """Metrics of ours that the dashboard reads."""
    ((_, board),) = assembly.resources("AWS::CloudWatch::Dashboard")
    body = json.loads(_joined(board["Properties"]["DashboardBody"]))
    return {
        (entry[1], frozenset(zip(entry[2:-1:2], entry[3:-1:2], strict=True)))
        for widget in body["widgets"]
        for entry in widget["properties"].get("metrics", ())
        if entry[0] == NAMESPACE
    }


@pytest.fixture
def emitted(
    chosen: Assembly, stack: None, ingest_key: str, database_url: str, redis_url: str,
    tmp_path: Path, capfd: pytest.CaptureFixture[str],
) -> dict[Metric, str]:  # fmt: skip
    """The unit of each metric that some function wrote."""
    spill = tmp_path / "spill"
    given = {
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "PULSEBOARD_SPILL_DIR": str(spill),
        "PULSEBOARD_OWN_METRICS_INTERVAL": "1",
        "PULSEBOARD_DATABASE_DISK_BYTES": str(2**30),
    }
    found: dict[Metric, str] = {}

    def environment(name: str) -> dict[str, str]:
        variables = chosen.functions()[name]["Environment"]["Variables"]
        ours = ("POWERTOOLS_SERVICE_NAME", "PULSEBOARD_STAGE", "PULSEBOARD_METRICS")
        return {**{key: str(variables[key]) for key in ours}, **given}

    def collect() -> None:
        for line in "".join(capfd.readouterr()).splitlines():
            found.update(_metrics(line))

    def call(name: str, events: list[Any], **changed: str) -> None:
        path = [invoke.ROOT / "shared" / "src"]
        with runtime_api.running(
            name, path=path, environment=environment(name) | changed
        ) as lambda_:
            for event in events:
                result = lambda_.invoke(event)
                # On a busy machine the database may be too slow for the first ones.
                for _ in range(30):
                    if name != "drain" or result["samples"]:
                        break
                    time.sleep(1)
                    result = lambda_.invoke(event)
                else:
                    pytest.fail(f"nothing was drained: {result}")
            # What is counted is written with the first request after the interval.
            time.sleep(1.1)
            lambda_.invoke(events[-1])
        collect()

    nowhere = "postgresql://nobody@127.0.0.1:1/none"
    # Drained last: it needs what was spilled.
    for name in sorted(invoke.functions(), key=lambda name: (name == "drain", name)):
        events = [invoke.event(name, key=ingest_key)]
        if name == "ingest":
            call(name, [*events, _refused(events[0])])
            # Spilled, and the circuit breaker opens.
            call(name, events * 8, DATABASE_URL=nowhere, PULSEBOARD_SPILL_PAUSE="0.01")
        elif name == "drain":
            call(name, [{}])
        elif name != "migrate":
            call(name, events)
    return found


def _refused(event: dict[str, Any]) -> dict[str, Any]:
    body = json.loads(event["body"])
    body["points"].append({"name": "", "value": 1})
    return {**event, "body": json.dumps(body)}


def _metrics(line: str) -> Iterator[tuple[Metric, str]]:
    try:
        document = json.loads(line)
        directives = document["_aws"]["CloudWatchMetrics"]
    except (ValueError, KeyError, TypeError):
        return
    for directive in directives:
        assert directive["Namespace"] == NAMESPACE
        for dimensions in directive["Dimensions"]:
            where = frozenset((name, document[name]) for name in dimensions)
            for metric in directive["Metrics"]:
                assert metric["Name"] in document
                yield (metric["Name"], where), metric["Unit"]


def test_every_alarm_and_graph_reads_what_a_function_writes_and_nothing_is_written_in_vain(
    emitted: dict[Metric, str], chosen: Assembly
) -> None:
    alarms = _alarms(chosen)
    read = set(alarms.values()) | _graphs(chosen)
    assert len(alarms) > 4
    assert read - set(emitted) == set(), "no function writes these"
    assert set(emitted) - read == set(), "nobody reads these, and each costs $0.30 a month"
    for (name, dimensions), unit in emitted.items():
        assert dimensions == {("stage", "staging")}
        assert unit == next((u for u in ("Seconds", "Percent") if name.endswith(u)), "Count")
