"""Runs promtool's unit tests of rule files in process: samples in, alerts and samples out.

The format: https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/. Rules
are evaluated as they stand in their file, at every `evaluation_interval` from time 0 on, by our
evaluator and our state machine. Samples exactly at the open end of a range are outside of it, as in
Prometheus 3; promtool 2 counts them.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pulseboard import promql
from pulseboard.alerts.rule_files import interval_of
from pulseboard.alerts.state_machine import NEW, Condition, Instance, step
from pulseboard.catalogue.series_key import NAME
from pulseboard.contracts.alerts import AlertCondition, AlertStatus
from pulseboard.contracts.base import interval_seconds
from pulseboard.core import text_templates
from pulseboard.core.exceptions import InvalidRequest
from pulseboard.core.text_templates import TemplateData
from pulseboard.promql.ast import Select

_UNSIGNED = r"(?:\d++(?:\.\d*+)?|\.\d++)(?:[eE][-+]?\d++)?"
_ITEM = re.compile(
    rf"(?P<gap>_)(?:x(?P<gaps>\d++))?|(?P<stale>stale)"
    rf"|(?P<start>[-+]?(?:{_UNSIGNED}|[iI]nf|NaN))(?P<step>[-+]{_UNSIGNED})?(?:x(?P<times>\d++))?"
)
_MOST_VALUES = 1_000_000
Labels = dict[str, str]


class Unusable(Exception):
    """A file, or a test in it, that can't be run, and why."""


@dataclass
class TestReport:
    """What ran: how many checks, and what was wrong."""

    __test__ = False  # no test of pytest

    checks: int = 0
    failures: list[str] = field(default_factory=list)


@dataclass
class _Series:
    labels: Labels
    times: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    stale: list[float] = field(default_factory=list)

    def stored(self) -> promql.SeriesSamples:
        return promql.SeriesSamples(
            self.labels, np.array(self.times), np.array(self.values), tuple(self.stale)
        )


class _Storage:
    """Samples by series. Nothing is stored twice for one time."""

    def __init__(self) -> None:
        self._by_name: dict[str, dict[tuple[tuple[str, str], ...], _Series]] = {}

    def series(self, labels: Labels) -> _Series:
        named = self._by_name.setdefault(labels.get(NAME, ""), {})
        return named.setdefault(tuple(sorted(labels.items())), _Series(labels))

    def evaluate(self, tree: promql.Expr, at: float) -> list[tuple[Labels, float]]:
        """The series that an expression returns at a time."""
        data = {}
        for read in promql.selectors(tree):
            named: Iterable[_Series] = (
                self._by_name.get(read.name, {}).values()
                if read.name is not None
                else [one for each in self._by_name.values() for one in each.values()]
            )
            data[read] = [
                one.stored()
                for one in named
                if all(matcher.accepts(one.labels) for matcher in read.matchers)
            ]
        lines = promql.evaluate(tree, times=np.array([at]), data=data)
        return [(dict(line.labels), float(line.values[0])) for line in lines if line.present[0]]


@dataclass
class _Rule:
    name: str
    expr: promql.Expr
    labels: Mapping[str, str]
    recording: bool
    condition: Condition
    annotations: Mapping[str, str]
    written: set[tuple[tuple[str, str], ...]] = field(default_factory=set)
    alerts: dict[tuple[tuple[str, str], ...], "_Alert"] = field(default_factory=dict)


@dataclass
class _Alert:
    labels: Labels
    instance: Instance
    annotations: Labels
    value: float


def run(document: object, rule_files: Sequence[object]) -> TestReport:
    """Run the tests of a parsed file over its parsed rule files. Raises Unusable."""
    if not isinstance(document, Mapping) or not isinstance(document.get("tests"), list):
        raise Unusable('write "tests:" with a list, as promtool')
    every = _duration(document.get("evaluation_interval"), "evaluation_interval", otherwise=60.0)
    if every <= 0:
        raise Unusable("evaluation_interval: must be longer than zero")
    report = TestReport()
    for number, test in enumerate(document["tests"], start=1):
        if not isinstance(test, Mapping):
            raise Unusable(f"test {number}: it has no fields")
        name = str(test.get("name") or f"test {number}")
        groups = _groups(rule_files, document.get("group_eval_order") or ())
        _run_test(test, name, groups, every, report)
    return report


def _groups(rule_files: Sequence[object], order: Sequence[str]) -> list[list[_Rule]]:
    found: list[tuple[str, list[_Rule]]] = []
    for file in rule_files:
        groups = file.get("groups") if isinstance(file, Mapping) else None
        if not isinstance(groups, list):
            raise Unusable('a rule file has no "groups:"')
        for group in groups:
            shared = group.get("labels") or {}
            rules = [_rule(rule, shared) for rule in group.get("rules") or ()]
            found.append((str(group.get("name", "")), rules))
    places = {name: place for place, name in enumerate(order)}
    found.sort(key=lambda one: places.get(one[0], len(places)))
    return [rules for _, rules in found]


def _rule(rule: Mapping[str, Any], shared: Mapping[str, Any]) -> _Rule:
    recording = "record" in rule
    name = str(rule.get("record") or rule.get("alert") or "")
    try:
        expr = promql.parse(str(rule.get("expr", "")))
    except InvalidRequest as error:
        raise Unusable(f"{name}: {error.message}") from error
    labels = {**shared, **(rule.get("labels") or {})}
    condition = Condition(
        AlertCondition.RETURNED,
        None,
        duration=_duration(rule.get("for"), f"{name}: for"),
        keep_firing_for=_duration(rule.get("keep_firing_for"), f"{name}: keep_firing_for"),
    )
    return _Rule(
        name,
        expr,
        {str(key): str(value) for key, value in labels.items()},
        recording,
        condition,
        {str(key): str(value) for key, value in (rule.get("annotations") or {}).items()},
    )


def _run_test(
    test: Mapping[str, Any],
    name: str,
    groups: list[list[_Rule]],
    every: float,
    report: TestReport,
) -> None:
    storage = _Storage()
    interval = _duration(test.get("interval"), f"{name}: interval", otherwise=every)
    for entry in test.get("input_series") or ():
        _fill(storage, entry, interval, name)
    external = {str(k): str(v) for k, v in (test.get("external_labels") or {}).items()}
    url = str(test.get("external_url") or "")
    alert_tests = list(test.get("alert_rule_test") or ())
    expr_tests = list(test.get("promql_expr_test") or ())
    by_time: dict[int, list[Mapping[str, Any]]] = {}
    last = 0.0
    for one in [*alert_tests, *expr_tests]:
        last = max(last, _duration(one.get("eval_time"), f"{name}: eval_time"))
    for one in alert_tests:
        at = _duration(one.get("eval_time"), f"{name}: eval_time")
        by_time.setdefault(int(at // every), []).append(one)
    for index in range(int(last // every) + 1):
        at = index * every
        for rules in groups:
            for rule in rules:
                try:
                    _evaluate(storage, rule, at, external, url)
                except InvalidRequest as error:
                    text = f"{name}: {rule.name}: {error.message}"
                    if text not in report.failures:
                        report.failures.append(text)
        for one in by_time.get(index, ()):
            _check_alerts(one, name, groups, report)
    for one in expr_tests:
        _check_samples(storage, one, name, report)


def _evaluate(storage: _Storage, rule: _Rule, at: float, external: Labels, url: str) -> None:
    found = storage.evaluate(rule.expr, at)
    written: dict[tuple[tuple[str, str], ...], tuple[Labels, float]] = {}
    if rule.recording:
        for labels, value in found:
            full = {k: v for k, v in {**labels, **rule.labels, NAME: rule.name}.items() if v}
            _once(written, full, value)
    else:
        _step_alerts(rule, found, at, external, url)
        for alert in rule.alerts.values():
            status = alert.instance.status
            if status not in (AlertStatus.PENDING, AlertStatus.FIRING):
                continue
            since = alert.instance.first_triggered
            state = {**alert.labels, NAME: "ALERTS", "alertstate": str(status)}
            _once(written, state, 1.0)
            began = at if since is None else since
            _once(written, {**alert.labels, NAME: "ALERTS_FOR_STATE"}, float(int(began)))
    for key in rule.written - written.keys():
        storage.series(dict(key)).stale.append(at)
    rule.written = set(written)
    for labels, value in written.values():
        series = storage.series(labels)
        series.times.append(at)
        series.values.append(value)


def _once(
    written: dict[tuple[tuple[str, str], ...], tuple[Labels, float]], labels: Labels, value: float
) -> None:
    key = tuple(sorted(labels.items()))
    if key in written:
        raise InvalidRequest(
            "Two series have the same labels once the rule's labels replace theirs."
        )
    written[key] = (labels, value)


def _step_alerts(
    rule: _Rule,
    found: Sequence[tuple[Labels, float]],
    at: float,
    external: Labels,
    url: str,
) -> None:
    returned: dict[tuple[tuple[str, str], ...], tuple[Labels, Labels, float]] = {}
    for labels, value in found:
        tags = {key: text for key, text in labels.items() if key != NAME}
        names = {f"externalLabels.{key}": text for key, text in external.items()}
        data = TemplateData(value, tags, {**names, "externalURL": url}, url)
        rendered = {key: _render(text, data) for key, text in rule.labels.items()}
        full = {k: v for k, v in {**tags, **rendered, "alertname": rule.name}.items() if v}
        annotations = {key: _render(text, data) for key, text in rule.annotations.items()}
        key = tuple(sorted(full.items()))
        if key in returned:
            raise InvalidRequest("Two alerts have the same labels.")
        returned[key] = (full, annotations, value)
    for key, (labels, annotations, value) in returned.items():
        before = rule.alerts.get(key)
        instance = step(rule.condition, before.instance if before else NEW, value, at)
        rule.alerts[key] = _Alert(labels, instance, annotations, value)
    for key, alert in rule.alerts.items():
        if key not in returned:
            alert.instance = step(rule.condition, alert.instance, None, at)


def _render(text: str, data: TemplateData) -> str:
    problems = text_templates.problems_of(text)
    if problems:
        raise InvalidRequest(problems[0])
    return text_templates.render(text, data)


def _check_alerts(
    test: Mapping[str, Any], name: str, groups: list[list[_Rule]], report: TestReport
) -> None:
    alertname = str(test.get("alertname", ""))
    where = f"{name}: {alertname} at {test.get('eval_time')}"
    report.checks += 1
    rules = [r for rules in groups for r in rules if r.name == alertname and not r.recording]
    got = [
        (alert.labels, alert.annotations)
        for rule in rules
        for alert in rule.alerts.values()
        if alert.instance.status is AlertStatus.FIRING
    ]
    expected = []
    for one in test.get("exp_alerts") or ():
        labels = _texts(one.get("exp_labels")) | {"alertname": alertname}
        expected.append((labels, _texts(one.get("exp_annotations"))))
    if _in_order(got) != _in_order(expected):
        report.failures.append(
            f"{where}\n    exp: {_in_order(expected)}\n    got: {_in_order(got)}"
        )


def _in_order(alerts: Sequence[tuple[Labels, Labels]]) -> list[tuple[list[Any], list[Any]]]:
    return sorted((sorted(labels.items()), sorted(texts.items())) for labels, texts in alerts)


def _check_samples(
    storage: _Storage, test: Mapping[str, Any], name: str, report: TestReport
) -> None:
    expr, at = str(test.get("expr", "")), test.get("eval_time")
    where = f"{name}: {expr} at {at}"
    report.checks += 1
    try:
        got = storage.evaluate(promql.parse(expr), _duration(at, f"{name}: eval_time"))
    except InvalidRequest as error:
        report.failures.append(f"{where}\n    {error.message}")
        return
    expected = []
    for one in test.get("exp_samples") or ():
        labels = _labels(str(one.get("labels", "{}")), name)
        expected.append((labels, _number(one.get("value", 0))))
    if not _alike(got, expected):
        report.failures.append(f"{where}\n    exp: {_shown(expected)}\n    got: {_shown(got)}")


def _alike(got: list[tuple[Labels, float]], expected: list[tuple[Labels, float]]) -> bool:
    first = sorted(got, key=lambda one: sorted(one[0].items()))
    second = sorted(expected, key=lambda one: sorted(one[0].items()))
    return len(first) == len(second) and all(
        labels == others
        and (math.isclose(value, other, rel_tol=1e-9) or (value != value and other != other))
        for (labels, value), (others, other) in zip(first, second, strict=True)
    )


def _shown(samples: Sequence[tuple[Labels, float]]) -> str:
    texts = []
    for labels, value in samples:
        inside = ", ".join(f'{k}="{v}"' for k, v in sorted(labels.items()) if k != NAME)
        texts.append(f"{labels.get(NAME, '')}{{{inside}}} {value:g}")
    return "; ".join(sorted(texts)) or "nothing"


def _labels(text: str, name: str) -> Labels:
    """The labels of a series as its notation says."""
    try:
        tree = promql.parse(text if text.strip() not in ("", "{}") else "vector(0)")
    except InvalidRequest as error:
        raise Unusable(f"{name}: {text}: {error.message}") from error
    if not isinstance(tree, Select):
        return {}
    labels = {matcher.key: matcher.value for matcher in tree.matchers}
    return labels | ({NAME: tree.name} if tree.name else {})


def _fill(storage: _Storage, entry: Mapping[str, Any], interval: float, name: str) -> None:
    text = str(entry.get("series", ""))
    series = storage.series(_labels(text, name))
    at = 0.0
    for item in str(entry.get("values", "")).split():
        for value in _values(item, f"{name}: {text}"):
            if value == "stale":
                series.stale.append(at)
            elif value is not None:
                assert isinstance(value, float), "anything else is a number"
                series.times.append(at)
                series.values.append(value)
            at += interval


def _values(item: str, where: str) -> list[float | str | None]:
    """What one item of the notation stands for: numbers, gaps (None), a stale marker."""
    found = _ITEM.fullmatch(item)
    if found is None:
        what = "histograms are not supported" if "{{" in item else "is no value"
        raise Unusable(f"{where}: {item!r} {what}")
    if found["gap"]:
        return [None] * _repeated(found["gaps"] or "1", where)
    if found["stale"]:
        return ["stale"]
    start, by = _number(found["start"]), float(found["step"] or 0)
    if found["times"] is None:
        if found["step"] is not None:
            raise Unusable(f"{where}: {item!r} needs x and how often")
        return [start]
    return [start + by * index for index in range(_repeated(found["times"], where) + 1)]


def _repeated(text: str, where: str) -> int:
    count = int(text)
    if count > _MOST_VALUES:
        raise Unusable(f"{where}: {count} values; {_MOST_VALUES} are allowed")
    return count


def _number(given: object) -> float:
    text = str(given).strip().lower()
    try:
        return float({"+inf": "inf", "nan": "nan"}.get(text, text))
    except ValueError as error:
        raise Unusable(f"{given!r} is no number") from error


def _texts(given: object) -> Labels:
    return {str(k): str(v) for k, v in given.items()} if isinstance(given, Mapping) else {}


def _duration(given: object, where: str, *, otherwise: float = 0.0) -> float:
    """Seconds of a duration, read as `rules apply` does."""
    if given is None or given == "":
        return otherwise
    try:
        return interval_seconds(interval_of(given))
    except ValueError as error:
        raise Unusable(f"{where}: {given!r} is no duration, such as 5m") from error
