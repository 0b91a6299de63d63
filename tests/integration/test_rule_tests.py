"""`pulseboard rules test`: the same verdict as `promtool test rules`, on the same files."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from pulseboard.agent import rule_tests, rules

pytestmark = pytest.mark.integration

RULES = """
groups:
  - name: first
    interval: 1m
    rules:
      - record: job:requests:rate5m
        expr: sum by (job) (rate(requests_total[5m]))
        labels: {origin: rules}
      - record: job:requests:double
        expr: job:requests:rate5m * 2
      - alert: Down
        expr: up == 0
        for: 5m
        keep_firing_for: 2m
        labels: {severity: page, at: '{{ $value }}'}
        annotations:
          summary: '{{ $labels.instance }} of {{ $labels.job }} is down'
      - alert: Busy
        expr: job:requests:double > 1 and on (job) up
        labels: {severity: info}
        annotations: {description: '{{ $value | humanize }}/s'}
  - name: second
    rules:
      - alert: Gone
        expr: absent(up{job="gone"})
      - alert: Many
        expr: count(ALERTS{alertstate="firing"}) > 1
"""

TESTS = """
rule_files: [rules.yml]
evaluation_interval: 1m
group_eval_order: [first, second]
tests:
  - interval: 1m
    input_series:
      - series: 'up{job="api", instance="a"}'
        values: '1 1 0x8 1+0x10'
      - series: 'up{job="api", instance="b"}'
        values: '1x3 _x4 stale 1x10'
      - series: 'requests_total{job="api", code="200"}'
        values: '0+60x30'
      - series: 'requests_total{job="web", code="200"}'
        values: '100-1x5'
    alert_rule_test:
      - eval_time: 6m
        alertname: Down
        exp_alerts: EXPECTED_DOWN
      - eval_time: 7m
        alertname: Down
        exp_alerts:
          - exp_labels: {severity: page, job: api, instance: a, at: "0"}
            exp_annotations: {summary: a of api is down}
      - eval_time: 12m
        alertname: Down
        exp_alerts: LATE_DOWN
      - eval_time: 20m
        alertname: Down
      - eval_time: 10m
        alertname: Gone
        exp_alerts: [{exp_labels: {job: gone}}]
      - eval_time: 10m
        alertname: Busy
        exp_alerts:
          - exp_labels: {severity: info, job: api, origin: rules}
            exp_annotations: {description: BUSY}
    promql_expr_test:
      - expr: job:requests:double
        eval_time: 10m
        exp_samples:
          - {labels: 'job:requests:double{job="api", origin="rules"}', value: DOUBLE}
      - expr: up
        eval_time: 7m
        exp_samples: UP
      - expr: ALERTS_FOR_STATE{alertname="Down", instance="a"}
        eval_time: 8m
        exp_samples:
          - labels: >-
              ALERTS_FOR_STATE{alertname="Down", at="0", instance="a", job="api",
              severity="page"}
            value: 120
"""
GOOD = {
    "EXPECTED_DOWN": "[]",
    "LATE_DOWN": "[{exp_labels: {severity: page, job: api, instance: a, at: '0'}, "
    "exp_annotations: {summary: a of api is down}}]",
    "BUSY": "2/s",
    "DOUBLE": "2",
    "UP": '[{labels: \'up{job="api", instance="a"}\', value: 0}, '
    '{labels: \'up{job="api", instance="b"}\', value: 1}]',
}


@pytest.mark.parametrize(
    ("change", "fails"),
    [
        ({}, False),
        ({"DOUBLE": "3"}, True),
        ({"BUSY": "3/s"}, True),
        ({"EXPECTED_DOWN": "[{exp_labels: {instance: a}}]"}, True),
        ({"LATE_DOWN": "[]"}, True),
        ({"UP": "[]"}, True),
    ],
)
def test_the_verdict_is_that_of_promtool(
    tmp_path: Path, change: dict[str, str], fails: bool
) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian: apt install prometheus)")
    text, rules_text = TESTS, RULES
    for name, value in {**GOOD, **change}.items():
        text = text.replace(name, value)
    # Debian's promtool is of version 2.42, which does not know this field yet.
    rules_text = rules_text.replace("        keep_firing_for: 2m\n", "")
    text = text.replace("- eval_time: 12m", "- eval_time: 10m")
    (tmp_path / "rules.yml").write_text(rules_text)
    file = tmp_path / "tests.yml"
    file.write_text(text)
    theirs = subprocess.run(
        [promtool, "test", "rules", str(file)], capture_output=True, text=True, check=False
    )
    ours = CliRunner().invoke(rules.app, ["test", str(file)])
    both = f"{theirs.stdout}{theirs.stderr}\n{ours.output}"
    assert (theirs.returncode != 0) is fails, both
    assert (ours.exit_code != 0) is fails, both


def test_an_alert_keeps_firing_and_what_is_wrong_is_named() -> None:
    text = TESTS
    for name, value in GOOD.items():
        text = text.replace(name, value)
    report = rule_tests.run(yaml.safe_load(text), [yaml.safe_load(RULES)])
    assert (report.checks, report.failures) == (9, [])
    wrong = yaml.safe_load(text.replace("2/s", "7/s"))
    [failure] = rule_tests.run(wrong, [yaml.safe_load(RULES)]).failures
    assert failure.startswith("test 1: Busy at 10m")
    assert "7/s" in failure
    assert "2/s" in failure


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ("1 two", "'two' is no value"),
        ("{{schema:1}}", "histograms are not supported"),
        ("1x99999999", "1000000 are allowed"),
        ("1+1", "needs x and how often"),
    ],
)
def test_a_file_that_cannot_be_run_says_why(values: str, says: str) -> None:
    document = {"tests": [{"input_series": [{"series": "a", "values": values}]}]}
    with pytest.raises(rule_tests.Unusable, match=says):
        rule_tests.run(document, [])
