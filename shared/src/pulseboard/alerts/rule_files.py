"""Alert rules in files, ours and those of Prometheus, read with a report of what was dropped.

A file of ours is `{rules: [{name, query, condition, threshold, …}]}`, fields as in the API. A
Prometheus rule file is described at
https://prometheus.io/docs/prometheus/latest/configuration/alerting_rules/. There the threshold is
part of the expression: what stands right of its last comparison.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from pulseboard.contracts.alerts import (
    AlertCondition,
    AlertSeverity,
    CreateAlertRule,
    NoDataPolicy,
)

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
_TEMPLATE = re.compile(r"\{\{((?:(?!\{\{|\}\}).)*+)\}\}", re.DOTALL)


@dataclass
class RuleImportReport:
    """The rules that were read, the refused ones, and notes on those that were read in part."""

    rules: list[CreateAlertRule] = field(default_factory=list)
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
    for number, entry in enumerate(entries, start=1):
        try:
            report.rules.append(CreateAlertRule.model_validate(entry))
        except ValidationError as error:
            name = entry.get("name", f"rule {number}") if isinstance(entry, Mapping) else number
            report.refused.append(f"{name}: {_first(error)}")
    return report


def _first(error: ValidationError) -> str:
    problem = error.errors()[0]
    path = ".".join(str(part) for part in problem["loc"])
    return f"{path}: {problem['msg']}"


def _prometheus(groups: list[Any]) -> RuleImportReport:
    report = RuleImportReport()
    for group in groups:
        rules = group.get("rules") if isinstance(group, Mapping) else None
        for rule in rules if isinstance(rules, list) else []:
            if not isinstance(rule, Mapping):
                report.refused.append(f"{rule!r}: is no rule")
            elif "record" in rule:
                report.refused.append(f"{rule['record']}: recording rules are not supported")
            else:
                _alert(rule, report)
    return report


def _alert(rule: Mapping[str, Any], report: RuleImportReport) -> None:
    name = str(rule.get("alert", "a rule without a name"))
    parts = split_comparison(str(rule.get("expr", "")))
    if parts is None:
        report.refused.append(f"{name}: its expression must end in a comparison with a number")
        return
    query, condition, threshold = parts
    labels = {str(key): str(value) for key, value in (rule.get("labels") or {}).items()}
    word = labels.pop("severity", "warning")
    severity = _SEVERITIES.get(word.lower())
    if severity is None:
        report.notes.append(f'{name}: severity "{word}" became warning')
    message, lost = _message(rule.get("annotations") or {})
    report.notes.extend(f"{name}: {text} in its message is not filled" for text in lost)
    try:
        report.rules.append(
            CreateAlertRule(
                name=name,
                query=query,
                condition=condition,
                threshold=threshold,
                duration=str(rule.get("for", "0s")),
                keep_firing_for=str(rule.get("keep_firing_for", "0s")),
                severity=severity or AlertSeverity.WARNING,
                labels=labels,
                message=message,
                runbook_url=_runbook(rule.get("annotations") or {}),
                # There, a series that is gone does not fire any more.
                no_data=NoDataPolicy.OK,
            )
        )
    except ValidationError as error:
        report.refused.append(f"{name}: {_first(error)}")


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


def _message(annotations: Mapping[str, Any]) -> tuple[str, list[str]]:
    texts = [str(annotations[key]) for key in ("summary", "description") if key in annotations]
    lost: list[str] = []

    def fill(found: re.Match[str]) -> str:
        inside = found[1].split("|")[0].strip()
        if re.fullmatch(r"\$labels\.\w+", inside):
            return "{{" + inside.removeprefix("$labels.") + "}}"
        if inside == "$value" or re.fullmatch(r'(printf "[^"]*"|humanize\w*) \$value', inside):
            return "{{value}}"
        lost.append(found[0])
        return found[0]

    return "\n".join(_TEMPLATE.sub(fill, text) for text in texts), lost
