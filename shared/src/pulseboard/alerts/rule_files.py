"""Alert rules in files, ours and those of Prometheus, read with a report of what was dropped.

A file of ours is `{rules: [{name, query, condition, threshold, …}]}`, fields as in the API. A
Prometheus rule file is described at
https://prometheus.io/docs/prometheus/latest/configuration/alerting_rules/. There the threshold is
part of the expression: what stands right of its last comparison. One that does not end in a
comparison with a number fires for each series that it returns, as it does there.

A rule of a file is identified by its group, its name and its position among those of that name:
Prometheus' files hold several alerts of one name, often one for each severity.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from pulseboard.alerts.expression_text import expression_of
from pulseboard.contracts.alerts import (
    MAX_SOURCE,
    AlertCondition,
    AlertRuleFields,
    AlertSeverity,
    CreateAlertRule,
    NoDataPolicy,
)
from pulseboard.contracts.base import format_interval, interval_seconds
from pulseboard.contracts.recordings import (
    CreateRecordingRule,
    RecordingRuleFields,
    RuleGroupFields,
)
from pulseboard.core.exceptions import InvalidRequest
from pulseboard.core.text_templates import problems_of
from pulseboard.promql.parser import parse

_CONDITIONS = {
    ">": AlertCondition.GT,
    ">=": AlertCondition.GTE,
    "<": AlertCondition.LT,
    "<=": AlertCondition.LTE,
    "==": AlertCondition.EQ,
    "!=": AlertCondition.NE,
}
_TOKENS = re.compile(
    r"""(?P<text>"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|'(?:[^'\\]|\\.)*+(?:'|\\?\Z)|`[^`]*+(?:`|\Z))|(?P<open>[({\[])|(?P<close>[)}\]])"""
    r"""|(?P<comparison>>=|<=|==|!=|>|<)|(?P<word>\b(?:and|or|unless|bool)\b)|(?P<other>.)""",
    re.DOTALL | re.VERBOSE,
)
_NUMBER = re.compile(r"\(?\s*+([-+]?(?:\d++(?:\.\d*+)?|\.\d++)(?:[eE][-+]?\d++)?)\s*+\)?")
_SEVERITIES = {
    "critical": AlertSeverity.CRITICAL,
    "page": AlertSeverity.CRITICAL,
    "error": AlertSeverity.CRITICAL,
    "warning": AlertSeverity.WARNING,
    "warn": AlertSeverity.WARNING,
    "info": AlertSeverity.INFO,
    "none": AlertSeverity.INFO,
}
_YEARS = re.compile(r"([0-9]{1,9})y")


@dataclass
class RuleImportReport:
    """The rules that were read, the refused ones, and notes on those that were read in part."""

    rules: list[CreateAlertRule] = field(default_factory=list)
    recordings: list[CreateRecordingRule] = field(default_factory=list)
    groups: list[RuleGroupFields] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read(document: object) -> RuleImportReport:
    """Rules of a parsed file of either kind; the valid ones of a partly invalid file."""
    if isinstance(document, Mapping) and isinstance(document.get("groups"), list):
        return _prometheus(document["groups"])
    entries = document.get("rules") if isinstance(document, Mapping) else document
    report = RuleImportReport()
    if not isinstance(entries, list):
        report.refused.append('the file: write "rules:" with a list, or "groups:" as Prometheus')
        return report
    positions: Counter[str] = Counter()
    for number, entry in enumerate(entries, start=1):
        try:
            rule = CreateAlertRule.model_validate(_with_durations(entry))
        except ValidationError as error:
            name = entry.get("name", f"rule {number}") if isinstance(entry, Mapping) else number
            report.refused.append(f"{name}: {_first(error)}")
            continue
        report.rules.append(_placed(rule, "", positions))
    return report


_DURATIONS = ("duration", "window", "keep_firing_for", "evaluation_delay")
_DURATIONS_IN_JSON = ("keepFiringFor", "evaluationDelay")


def _with_durations(entry: object) -> object:
    """An entry of ours with its numbers as durations: `duration: 90` is 90 seconds."""
    if not isinstance(entry, Mapping):
        return entry
    names = {*_DURATIONS, *_DURATIONS_IN_JSON}
    return {key: _duration(each) if key in names else each for key, each in entry.items()}


def interval_of(given: object) -> str:
    """A duration of a file as the API takes it: numbers are seconds, a year has 365 days.

    Raises ValueError for what is none.
    """
    if isinstance(given, int | float) and not isinstance(given, bool) and 0 <= given < 1e9:
        return format_interval(given)
    text = str(given).strip()
    text = "0s" if text == "0" else _YEARS.sub(lambda year: f"{int(year[1]) * 365}d", text)
    interval_seconds(text)
    return text


def _duration(given: object) -> object:
    """A duration as the API takes it; what is none stays as it is, for the contract to refuse."""
    try:
        return None if given is None else interval_of(given)
    except ValueError:
        return str(given)


def _placed(rule: CreateAlertRule, group: str, positions: Counter[str]) -> CreateAlertRule:
    """The rule with what identifies it in its file."""
    place = f"{group}/{rule.name}"
    positions[place] += 1
    number = positions[place]
    source = place if number == 1 else f"{place}/{number}"
    return rule.model_copy(update={"source": source[:MAX_SOURCE]})


def _first(error: ValidationError) -> str:
    problem = error.errors()[0]
    path = ".".join(str(part) for part in problem["loc"])
    return f"{path}: {problem['msg']}"


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a rule of a file stands: its group, its place there, and what the group gives it."""

    group: str
    position: int
    labels: Mapping[str, Any]
    delay: str


def _prometheus(groups: list[Any]) -> RuleImportReport:
    report = RuleImportReport()
    positions: Counter[str] = Counter()
    for group in groups:
        if not isinstance(group, Mapping):
            report.refused.append(f"{group!r}: is no group")
            continue
        rules = group.get("rules")
        fields = _group(group, report)
        if fields is None:
            continue
        labels = group.get("labels")
        labels = labels if isinstance(labels, Mapping) else {}
        for number, rule in enumerate(rules if isinstance(rules, list) else []):
            place = _Place(fields.name, number, labels, fields.query_offset)
            if not isinstance(rule, Mapping):
                report.refused.append(f"{rule!r}: is no rule")
            elif "record" in rule:
                _recording(rule, place, positions, report)
            else:
                _alert(rule, place, positions, report)
    return report


def _group(group: Mapping[str, Any], report: RuleImportReport) -> RuleGroupFields | None:
    name = str(group.get("name", ""))
    interval = _duration(group.get("interval"))
    given = {
        "name": name,
        # As in Prometheus, zero is no interval of its own.
        "interval": None if interval == "0s" else interval,
        "query_offset": _duration(group.get("query_offset") or "0s"),
        "limit": group.get("limit", 0),
    }
    try:
        fields = RuleGroupFields.model_validate(given)
    except ValidationError as error:
        report.refused.append(f"group {name}: {_first(error)}")
        return None
    report.groups.append(fields)
    return fields


def _recording(
    rule: Mapping[str, Any], place: _Place, positions: Counter[str], report: RuleImportReport
) -> None:
    name = str(rule["record"])
    expr = str(rule.get("expr", "")).strip()
    key = f"{place.group}/{name}"
    # The place counts all the same: what is mended in the file must not take another's.
    positions[f"record {key}"] += 1
    number = positions[f"record {key}"]
    source = key if number == 1 else f"{key}/{number}"
    labels = rule.get("labels")
    labels = {**place.labels, **(labels if isinstance(labels, Mapping) else {})}
    try:
        parse(expr)
        read = CreateRecordingRule.model_validate(
            {
                "name": name,
                "query": expr,
                "labels": {str(k): str(v) for k, v in labels.items()},
                "group": place.group,
                "position": place.position,
                "source": source[:MAX_SOURCE],
            }
        )
    except InvalidRequest as error:
        report.refused.append(f"{name}: {error.message}")
    except ValidationError as error:
        report.refused.append(f"{name}: {_first(error)}")
    else:
        report.recordings.append(read)


def _alert(
    rule: Mapping[str, Any], place: _Place, positions: Counter[str], report: RuleImportReport
) -> None:
    group = place.group
    name = str(rule.get("alert", "a rule without a name"))
    expr = str(rule.get("expr", "")).strip()
    try:
        parse(expr)
    except InvalidRequest as error:
        # The place counts all the same: what is mended in the file must not take another's.
        positions[f"{group}/{name}"] += 1
        report.refused.append(f"{name}: {error.message}")
        return
    # A comparison with a number is our own form, of which the threshold is drawn and backtested.
    query, condition, threshold = split_comparison(expr) or (expr, AlertCondition.RETURNED, None)
    own = rule.get("labels")
    own = {**place.labels, **(own if isinstance(own, Mapping) else {})}
    labels = _filled(name, "label", own, report)
    # Empty: the file has none, so that alerts have no such label, and an export writes none.
    word = labels.setdefault("severity", "") or "warning"
    severity = _SEVERITIES.get(word.lower())
    if severity is None:
        report.notes.append(f'{name}: severity "{word}" counts as warning')
    elif severity == labels["severity"]:
        labels.pop("severity", None)
    annotations = _filled(name, "annotation", rule.get("annotations"), report)
    texts = [annotations[key] for key in ("summary", "description") if key in annotations]
    try:
        read = CreateAlertRule.model_validate(
            {
                "name": name,
                "query": query,
                "condition": condition,
                "threshold": threshold,
                "duration": _duration(rule.get("for") or "0s"),
                "keep_firing_for": _duration(rule.get("keep_firing_for") or "0s"),
                "severity": severity or AlertSeverity.WARNING,
                "labels": labels,
                "message": "\n".join(texts),
                "runbook_url": _runbook(annotations),
                "evaluation_delay": place.delay,
                "group": group,
                "position": place.position,
                "annotations": _texts(rule.get("annotations")),
                # There, a series that is gone does not fire any more.
                "no_data": NoDataPolicy.OK,
            }
        )
    except ValidationError as error:
        positions[f"{group}/{name}"] += 1
        report.refused.append(f"{name}: {_first(error)}")
        return
    report.rules.append(_placed(read, group, positions))


def _texts(given: Any) -> dict[str, str]:
    return {str(k): str(v) for k, v in (given if isinstance(given, Mapping) else {}).items()}


def _filled(name: str, kind: str, given: Any, report: RuleImportReport) -> dict[str, str]:
    """The texts that can be filled; the others are left out, with a note."""
    texts: dict[str, str] = {}
    for key, value in (given if isinstance(given, Mapping) else {}).items():
        problems = problems_of(str(value))
        if problems:
            report.notes.append(f"{name}: its {kind} {key} is left out: {problems[0]}")
        else:
            texts[str(key)] = str(value)
    return texts


def split_comparison(expr: str) -> tuple[str, AlertCondition, float] | None:
    """Query, condition and threshold of an expression that ends in a comparison with a number.

    None for any other, one that joins comparisons with and, or, unless among them.
    """
    depth = 0
    found: re.Match[str] | None = None
    for token in _TOKENS.finditer(expr):
        if token["open"]:
            depth += 1
        elif token["close"]:
            depth -= 1
        elif depth == 0 and token["word"]:
            return None
        elif depth == 0 and token["comparison"]:
            found = token
    if found is None:
        return None
    number = _NUMBER.fullmatch(expr[found.end() :].strip())
    query = expr[: found.start()].strip()
    if number is None or not query:
        return None
    return query, _CONDITIONS[found["comparison"]], float(number[1])


def _runbook(annotations: Mapping[str, Any]) -> str:
    """The link, if it is one without placeholders."""
    url = str(annotations.get("runbook_url", ""))
    return url if re.fullmatch(r"https?://[^\s{]+", url) else ""


def exported(
    alerts: Iterable[AlertRuleFields],
    recordings: Iterable[RecordingRuleFields],
    groups: Iterable[RuleGroupFields],
) -> tuple[dict[str, Any], list[str]]:
    """A rule file of Prometheus that holds these rules, and notes on what it can't hold.

    Read again, it gives the same rules. Rules without a group are in one of the name `pulseboard`.
    """
    notes: list[str] = []
    by_group: dict[str, list[tuple[int, dict[str, Any]]]] = {}
    for recording in recordings:
        if not recording.enabled:
            notes.append(f"{recording.name}: it is disabled, and left out")
            continue
        entry: dict[str, Any] = {"record": recording.name, "expr": recording.query}
        if recording.labels:
            entry["labels"] = dict(recording.labels)
        by_group.setdefault(recording.group, []).append((recording.position, entry))
    for alert in alerts:
        if not alert.enabled:
            notes.append(f"{alert.name}: it is disabled, and left out")
            continue
        by_group.setdefault(alert.group, []).append((alert.position, _entry(alert, notes)))
    described = {group.name: group for group in groups}
    document = []
    for name in sorted(by_group):
        head: dict[str, Any] = {"name": name or "pulseboard"}
        if (group := described.get(name)) is not None:
            if group.interval is not None:
                head["interval"] = group.interval
            if interval_seconds(group.query_offset):
                head["query_offset"] = group.query_offset
            if group.limit:
                head["limit"] = group.limit
        in_order = sorted(by_group[name], key=lambda one: one[0])
        document.append({**head, "rules": [entry for _, entry in in_order]})
    return {"groups": document}, notes


def _entry(rule: AlertRuleFields, notes: list[str]) -> dict[str, Any]:
    """An alert rule as its file has it."""
    entry: dict[str, Any] = {"alert": rule.name, "expr": expression_of(rule)}
    if interval_seconds(rule.duration):
        entry["for"] = rule.duration
    if interval_seconds(rule.keep_firing_for):
        entry["keep_firing_for"] = rule.keep_firing_for
    labels = {"severity": str(rule.severity), **rule.labels}
    if not labels["severity"]:
        del labels["severity"]
    if labels:
        entry["labels"] = labels
    annotations = dict(rule.annotations)
    if not _filled_alike(rule):
        annotations.pop("description", None)
        annotations["summary"] = rule.message
    if rule.runbook_url:
        annotations["runbook_url"] = rule.runbook_url
    if annotations:
        entry["annotations"] = annotations
    if rule.no_data is not NoDataPolicy.OK:
        notes.append(
            f"{rule.name}: its policy for missing data ({rule.no_data}) is not in the file"
        )
    return entry


def _filled_alike(rule: AlertRuleFields) -> bool:
    """Whether the message is what its annotations give, less those that can't be filled."""
    texts = [
        rule.annotations[key]
        for key in ("summary", "description")
        if key in rule.annotations and not problems_of(rule.annotations[key])
    ]
    return rule.message == "\n".join(texts)
