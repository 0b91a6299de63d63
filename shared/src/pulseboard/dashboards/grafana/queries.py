"""The queries of Grafana's panels: Prometheus expressions, with their variables."""

import re
from typing import Any

from pulseboard.contracts.dashboards import PanelQuery
from pulseboard.core.exceptions import InvalidRequest
from pulseboard.dashboards.grafana.json_access import number, objects, text
from pulseboard.dashboards.grafana.report import ImportReport
from pulseboard.query.promql import parse

MOST_QUERIES = 26
MOST_CHARACTERS = 5_000
_OLD_VARIABLE = re.compile(r"\[\[(\w++)(?::[^\[\]]*+)?\]\]")
_FORMATTED = re.compile(r"\$\{(\w+):(\w+)\}")
_DURATION_VARIABLE = re.compile(r"\$\{?__\w+\}?")
_VARIABLE = re.compile(r"\$\{\w+(?::\w+)?\}|\$\w+")
_KEPT_FORMATS = {"regex"}


def variables(expression: str) -> str:
    """The text with variables as we write them: `$name`, `${name}`, `${name:regex}`."""
    plain = _OLD_VARIABLE.sub(r"${\1}", expression)
    return _FORMATTED.sub(
        lambda found: found[0] if found[2] in _KEPT_FORMATS else f"${{{found[1]}}}", plain
    )


def unanswerable(expression: str) -> str | None:
    """Why an expression is not supported, or None. Variables stand for any value."""
    filled = _DURATION_VARIABLE.sub("5m", expression)
    refusals: list[str] = []
    # A variable may stand for a name or a number, as in topk($count, …).
    for value in ("x", "5", "5m"):
        try:
            parse(_VARIABLE.sub(value, filled))
        except InvalidRequest as refused:
            refusals.append(refused.message)
        else:
            return None
    return refusals[0]


def queries(panel: dict[str, Any], *, location: str, report: ImportReport) -> list[PanelQuery]:
    """The panel's Prometheus queries; targets of another kind of data source are reported."""
    found: list[PanelQuery] = []
    for index, target in enumerate(objects(panel.get("targets"))):
        name = text(target.get("refId")) or str(index + 1)
        expression = variables(text(target.get("expr")))
        if not expression:
            report.dropped(location, f"query {name} is no Prometheus expression{_kind(target)}")
            continue
        if len(expression) > MOST_CHARACTERS:
            report.dropped(location, f"query {name} has more than {MOST_CHARACTERS} characters")
            continue
        if len(found) == MOST_QUERIES:
            report.dropped(location, f"query {name}: a panel has {MOST_QUERIES} queries at most")
            continue
        if target.get("format") == "heatmap":
            report.changed(location, f"query {name} drew a heatmap: its buckets are lines")
        if (number(target.get("intervalFactor")) or 1) > 1 or text(target.get("interval")):
            report.changed(location, f"query {name}: its own resolution is not imported")
        problem = unanswerable(expression)
        if problem:
            report.changed(
                location, f"query {name} is imported, but not supported: {problem}"[:400]
            )
        alias = text(target.get("legendFormat"))
        found.append(
            PanelQuery(
                query=expression,
                alias=None if alias in ("", "__auto") else variables(alias)[:200],
                hidden=target.get("hide") is True,
            )
        )
    return found


def _kind(target: dict[str, Any]) -> str:
    for key in ("rawSql", "target", "measurement", "query", "queryText", "expression"):
        if target.get(key):
            return f" (it has {key})"
    return ""
