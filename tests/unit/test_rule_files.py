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
          description: '{{ with query "up" }}{{ end }}'
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
    hot, both, absent, odd = report.rules
    assert hot.query.endswith("[5m])) * 100")
    assert (hot.condition, hot.threshold) == (AlertCondition.GT, 90)
    assert (hot.duration, hot.keep_firing_for) == ("5m", "10m")
    assert hot.severity is AlertSeverity.CRITICAL
    assert hot.labels == {"severity": "page", "team": "ops"}
    assert hot.message == "{{ $labels.host }} at {{ $value | humanize }} of {{ $externalURL }}"
    assert hot.no_data is NoDataPolicy.OK
    assert (odd.condition, odd.severity) == (AlertCondition.EQ, AlertSeverity.WARNING)
    assert [(rule.query, rule.condition, rule.threshold) for rule in (both, absent)] == [
        ("a > 1 and b > 2", AlertCondition.RETURNED, None),
        ("absent(up)", AlertCondition.RETURNED, None),
    ]
    assert {rule.no_data for rule in report.rules} == {NoDataPolicy.OK}
    [recording] = report.recordings
    assert (recording.name, recording.query) == ("job:up:sum", "sum by (job) (up)")
    assert (recording.group, recording.position, recording.source) == (
        *("hosts", 0, "hosts/job:up:sum"),
    )
    assert [rule.position for rule in report.rules] == [1, 2, 3, 4]
    assert report.refused == []
    assert report.notes[0].startswith("HostHot: its annotation description is left out: {{ with")
    assert len(report.notes) == 2


TWICE = """
groups:
  - name: disks
    rules:
      - {alert: Full, expr: used > 0.8, for: 0, labels: {severity: warning}}
      - {alert: Full, expr: used > 0.9, for: 90, labels: {severity: critical}}
      - {alert: Full, expr: no comparison, for: 1y}
      - {alert: Full, expr: used > 0.95, keep_firing_for: 1y2d}
  - name: others
    rules:
      - {alert: Full, expr: used > 1}
"""


def test_alerts_of_one_name_are_told_apart_and_numbers_are_durations() -> None:
    report = rule_files.read(yaml.safe_load(TWICE))
    assert [(rule.threshold, rule.source) for rule in report.rules] == [
        (0.8, "disks/Full"),
        (0.9, "disks/Full/2"),
        (0.95, "disks/Full/4"),
        (1.0, "others/Full"),
    ]
    assert [rule.duration for rule in report.rules] == ["0s", "90s", "0s", "0s"]
    assert report.rules[2].keep_firing_for == "365d2d"
    ours = {"name": "a", "query": "cpu", "condition": "gt", "threshold": 1, "duration": 90}
    (first, second) = rule_files.read({"rules": [ours, {**ours, "keepFiringFor": 0}]}).rules
    assert (first.duration, first.source) == ("90s", "/a")
    assert (second.keep_firing_for, second.source) == ("0s", "/a/2")


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


def test_a_rule_without_severity_is_exported_without_one() -> None:
    text = """
    groups:
      - name: g
        interval: 30s
        rules:
          - {alert: Bare, expr: up == 0}
          - {alert: Labelled, expr: up == 0, labels: {team: ops}}
          - {alert: Said, expr: up == 0, labels: {severity: warning}}
          - {alert: Own, expr: up == 0, labels: {severity: bad}}
    """
    document = yaml.safe_load(text)
    report = rule_files.read(document)
    assert {rule.severity for rule in report.rules} == {AlertSeverity.WARNING}
    exported, _ = rule_files.exported(report.rules, report.recordings, report.groups)
    assert exported == document
    again = rule_files.read(exported)
    assert again.rules == report.rules
