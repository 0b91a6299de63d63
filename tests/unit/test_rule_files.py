"""Alert rules in files, ours and Prometheus'."""

import pytest
import yaml

from pulseboard.alerts import rule_files
from pulseboard.contracts.alerts import AlertCondition, AlertSeverity, NoDataPolicy

PROMETHEUS = """
groups:
  - name: hosts
    rules:
      - record: job:up:sum
        expr: sum by (job) (up)
      - alert: HostHot
        expr: avg by (host) (rate(cpu_seconds{mode!="idle", host=~"a>5"}[5m])) * 100 > 90
        for: 5m
        keep_firing_for: 10m
        labels: {severity: page, team: ops}
        annotations:
          summary: '{{ $labels.host }} at {{ $value | humanize }} of {{ $externalURL }}'
      - alert: Both
        expr: a > 1 and b > 2
      - alert: NoThreshold
        expr: absent(up)
      - alert: Odd
        expr: up == 0
        labels: {severity: bad}
"""


def test_prometheus_rules_come_with_a_report() -> None:
    report = rule_files.read(yaml.safe_load(PROMETHEUS))
    hot, odd = report.rules
    assert hot.query.endswith("[5m])) * 100")
    assert (hot.condition, hot.threshold) == (AlertCondition.GT, 90)
    assert (hot.duration, hot.keep_firing_for) == ("5m", "10m")
    assert (hot.severity, hot.labels) == (AlertSeverity.CRITICAL, {"team": "ops"})
    assert hot.message == "{{host}} at {{value}} of {{ $externalURL }}"
    assert hot.no_data is NoDataPolicy.OK
    assert (odd.condition, odd.severity) == (AlertCondition.EQ, AlertSeverity.WARNING)
    assert [text.split(":")[0] for text in report.refused] == ["job", "Both", "NoThreshold"]
    assert len(report.notes) == 2


def test_valid_rules_of_a_partly_bad_file_are_imported() -> None:
    report = rule_files.read(
        {
            "rules": [
                {"name": "a", "query": "cpu", "condition": "gt", "threshold": 1},
                {"name": "b", "query": "cpu", "condition": "above", "threshold": 1},
                3,
            ]
        }
    )
    assert [rule.name for rule in report.rules] == ["a"]
    assert report.refused[0].startswith("b: condition")
    assert len(report.refused) == 2
    assert rule_files.read("text").refused


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        ("up == 0", ("up", AlertCondition.EQ, 0.0)),
        ("a / b >= -1.5e3", ("a / b", AlertCondition.GTE, -1500.0)),
        ('up{job!="x"} != 1', ('up{job!="x"}', AlertCondition.NE, 1.0)),
        ("(a > 5)", None),
        ("a > b", None),
        ("a > bool 1", None),
        ("> 1", None),
    ],
)
def test_the_threshold_is_what_stands_right(
    expr: str, expected: tuple[str, AlertCondition, float] | None
) -> None:
    assert rule_files.split_comparison(expr) == expected
