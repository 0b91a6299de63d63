"""Checks Prometheus rule files, as `promtool check rules` does: names, durations, expressions.

The format: https://prometheus.io/docs/prometheus/latest/configuration/recording_rules/.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pulseboard.alerts.rule_files import interval_of
from pulseboard.core.exceptions import InvalidRequest
from pulseboard.promql.parser import parse

_GROUP = {
    "name",
    "interval",
    "query_offset",
    "limit",
    "labels",
    "rules",
    "partial_response_strategy",
}
_ALERTING = {"alert", "expr", "for", "keep_firing_for", "labels", "annotations"}
_RECORDING = {"record", "expr", "labels"}
_METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:.]*")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.]*")


@dataclass
class RuleCheck:
    """How many rules of each kind a file has, and what is wrong with it, each with its place."""

    alerting: int = 0
    recording: int = 0
    problems: list[str] = field(default_factory=list)


def check(document: object) -> RuleCheck:
    """Check a parsed file."""
    found = RuleCheck()
    groups = document.get("groups") if isinstance(document, Mapping) else None
    if not isinstance(groups, list):
        found.problems.append('the file: write "groups:" with a list of groups')
        return found
    names: Counter[str] = Counter()
    for number, group in enumerate(groups, start=1):
        if not isinstance(group, Mapping):
            found.problems.append(f"group {number}: it has no fields")
            continue
        name = str(group.get("name") or "")
        place = f"group {name or number}"
        names[name] += 1
        if not name:
            found.problems.append(f"{place}: name: is missing")
        elif names[name] == 2:
            found.problems.append(f"{place}: name: another group has it, too")
        found.problems += [f"{place}: {each}" for each in _of_group(group)]
        rules = group.get("rules")
        for position, rule in enumerate(rules if isinstance(rules, list) else [], start=1):
            _rule(found, rule, f"{place}, rule {position}")
    return found


def _of_group(group: Mapping[str, Any]) -> Iterator[str]:
    yield from _unknown(group, _GROUP)
    for key in ("interval", "query_offset"):
        yield from _duration(group, key)
    if not isinstance(group.get("rules", []), list | None):
        yield "rules: must be a list"


def _rule(found: RuleCheck, rule: object, place: str) -> None:
    if not isinstance(rule, Mapping):
        found.problems.append(f"{place}: it has no fields")
        return
    kinds = [key for key in ("alert", "record") if rule.get(key)]
    if len(kinds) != 1:
        found.problems.append(f"{place}: needs either alert or record, with a name")
        return
    (kind,) = kinds
    place = f"{place} ({rule[kind]})"
    if kind == "alert":
        found.alerting += 1
    else:
        found.recording += 1
    found.problems += [f"{place}: {each}" for each in _of_rule(rule, kind)]


def _of_rule(rule: Mapping[str, Any], kind: str) -> Iterator[str]:
    recording = kind == "record"
    yield from _unknown(rule, _RECORDING if recording else _ALERTING)
    if recording and not _METRIC.fullmatch(str(rule["record"])):
        yield f"record: {rule['record']!r} is no name of a metric"
    text = rule.get("expr")
    if text is None or not str(text).strip():
        yield "expr: is missing"
    else:
        try:
            parse(str(text))
        except InvalidRequest as error:
            yield f"expr: {error.message}"
    for key in ("for", "keep_firing_for"):
        yield from _duration(rule, key)
    for key in ("labels", "annotations"):
        pairs = rule.get(key) or {}
        if not isinstance(pairs, Mapping):
            yield f"{key}: must have names and values"
            continue
        for name in pairs:
            reserved = key == "labels" and name == "__name__"
            if reserved or not _LABEL.fullmatch(str(name)):
                yield f"{key}: {name!r} can't be a name"


def _unknown(fields: Mapping[str, Any], known: set[str]) -> Iterator[str]:
    for name in fields:
        if name not in known:
            yield f"{name}: there is no such field here"


def _duration(fields: Mapping[str, Any], key: str) -> Iterator[str]:
    given = fields.get(key)
    if given is None:
        return
    try:
        interval_of(given)
    except ValueError:
        yield f"{key}: {given!r} is no duration, such as 5m"
