"""Checking Prometheus rule files."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from pulseboard.agent import rule_tests
from pulseboard.agent.cli import app
from pulseboard.alerts import rule_files
from pulseboard.alerts.rule_check import check
from pulseboard.contracts.base import interval_seconds

RULES = """
groups:
  - name: node
    interval: 30s
    rules:
      - record: instance:node_cpu:ratio
        expr: sum by (instance) (rate(node_cpu_seconds_total{mode!="idle"}[5m]))
        labels: {team: a}
      - alert: Down
        expr: up == 0 unless on (instance) maintenance
        for: 5m
        keep_firing_for: 1m
        labels: {severity: critical}
        annotations: {summary: "{{ $labels.instance }} is down"}
"""


def test_a_right_file_is_counted() -> None:
    import yaml

    found = check(yaml.safe_load(RULES))
    assert (found.alerting, found.recording, found.problems) == (1, 1, [])


@pytest.mark.parametrize(
    ("group", "problem"),
    [
        ({}, "group 1: name: is missing"),
        ({"name": "g", "interval": "5x"}, "group g: interval: '5x' is no duration, such as 5m"),
        ({"name": "g", "rule": []}, "group g: rule: there is no such field here"),
        ({"name": "g", "rules": [{"expr": "x"}]}, "needs either alert or record"),
        ({"name": "g", "rules": [{"alert": "A", "record": "b", "expr": "x"}]}, "needs either"),
        ({"name": "g", "rules": [{"alert": "A"}]}, "group g, rule 1 (A): expr: is missing"),
        ({"name": "g", "rules": [{"alert": "A", "expr": "rate(x)"}]}, "range vector"),
        ({"name": "g", "rules": [{"record": "a b", "expr": "x"}]}, "is no name of a metric"),
        ({"name": "g", "rules": [{"record": "a", "expr": "x", "for": "5m"}]}, "for: there is no"),
        ({"name": "g", "rules": [{"alert": "A", "expr": "x", "for": "soon"}]}, "is no duration"),
        (
            {"name": "g", "rules": [{"alert": "A", "expr": "x", "labels": {"a b": "c"}}]},
            "labels: 'a b' can't be a name",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_place(group: dict[str, object], problem: str) -> None:
    assert any(problem in each for each in check({"groups": [group]}).problems)


def test_groups_have_names_of_their_own() -> None:
    found = check({"groups": [{"name": "g"}, {"name": "g"}]})
    assert found.problems == ["group g: name: another group has it, too"]
    assert check([]).problems
    assert check({"groups": [3]}).problems == ["group 1: it has no fields"]


def test_a_file_that_is_nested_too_deeply_is_refused_in_one_sentence(tmp_path: Path) -> None:
    deep = tmp_path / "deep.yaml"
    deep.write_text("[" * 5000 + "]" * 5000)
    done = CliRunner().invoke(app, ["rules", "diff", str(deep)])
    assert done.exit_code == 1
    assert "nested too deeply" in done.output


def test_the_command_counts_rules_and_fails_for_problems(tmp_path: Path) -> None:
    right, wrong = tmp_path / "right.yaml", tmp_path / "wrong.yaml"
    right.write_text(RULES, encoding="utf-8")
    wrong.write_text("groups: [{name: g, rules: [{alert: A, expr: 'rate('}]}]", encoding="utf-8")
    run = CliRunner()
    done = run.invoke(app, ["rules", "check", str(right)])
    assert done.exit_code == 0, done.output
    assert "1 alerting and 1 recording rules" in done.output
    done = run.invoke(app, ["rules", "check", str(right), str(wrong)])
    assert done.exit_code == 1
    assert "group g, rule 1 (A): expr: " in done.output


@pytest.mark.parametrize("where", ["for", "keep_firing_for", "interval", "query_offset"])
@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        *((300, 300), (0, 0), ("0", 0), (1.5, 1.5), ("5m", 300), ("1h30m", 5400), ("0s", 0)),
        *(("1y", 31_536_000), (None, 0)),
        *((each, None) for each in (-5, "300", "1.5h", "soon", "5x", True, float("nan"), [5], 1e9)),
    ],
)
def test_every_command_reads_a_duration_alike(
    where: str, given: object, seconds: float | None
) -> None:
    """`rules check`, `rules apply` and `rules test` of one file."""
    rule: dict[str, object] = {"alert": "A", "expr": "up == 0"}
    group: dict[str, object] = {"name": "g", "rules": [rule]}
    (rule if "for" in where else group)[where] = given
    document = {"groups": [group]}
    problems = check(document).problems
    report = rule_files.read(document)
    if seconds is None:
        assert len(problems) == len(report.refused) == 1
        assert "is no duration, such as 5m" in problems[0]
    else:
        assert (problems, report.refused) == ([], [])
        (read,), (its_group,) = report.rules, report.groups
        taken = {
            "for": read.duration,
            "keep_firing_for": read.keep_firing_for,
            "interval": its_group.interval or "0s",
            "query_offset": its_group.query_offset,
        }[where]
        assert interval_seconds(taken) == seconds
    if "for" in where:
        tests = {"tests": [{"alert_rule_test": [{"eval_time": 60, "alertname": "A"}]}]}
        if seconds is None:
            with pytest.raises(rule_tests.Unusable, match="is no duration"):
                rule_tests.run(tests, [document])
        else:
            assert rule_tests.run(tests, [document]).failures == []
