"""The queries of Grafana's panels: Prometheus expressions, with their variables."""

import re
from typing import Any

from pulseboard.contracts.dashboards import PanelQuery
from pulseboard.core.exceptions import InvalidRequest
from pulseboard.dashboards.grafana.json_access import objects, text
from pulseboard.dashboards.grafana.report import ImportReport
from pulseboard.promql import parse

MOST_QUERIES = 50
MOST_CHARACTERS = 5_000
_OLD_VARIABLE = re.compile(r"\[\[(\w++)(?::(\w++))?\]\]")
_DURATION_VARIABLE = re.compile(r"\$\{?__\w+\}?")
_VARIABLE = re.compile(r"\$\{\w+(?::\w+)?\}|\$\w+")
_EMPTY_TARGET = {"refId", "datasource", "editorMode", "legendFormat", "range", "expr", "hide"}
_REF = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,19}")
_FORMATS = {"table": "table", "heatmap": "heatmap"}


def variables(expression: str) -> str:
    """The text with variables as we write them: `$name`, `${name}`, `${name:format}`."""
    return _OLD_VARIABLE.sub(
        lambda found: f"${{{found[1]}:{found[2]}}}" if found[2] else f"${{{found[1]}}}", expression
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
            if len(target.keys() - _EMPTY_TARGET) > 0:
                report.dropped(
                    location, f'query "{name}" is no Prometheus expression{_kind(target)}'
                )
            continue
        if len(expression) > MOST_CHARACTERS:
            report.dropped(location, f'query "{name}" has more than {MOST_CHARACTERS} characters')
            continue
        if len(found) == MOST_QUERIES:
            report.dropped(
                location, f'query "{name}" is beyond the {MOST_QUERIES} that a panel has at most'
            )
            continue
        problem = unanswerable(expression)
        if problem:
            report.changed(
                location, f'query "{name}" is imported, but not supported: {problem}'[:400]
            )
        alias = text(target.get("legendFormat"))
        found.append(
            PanelQuery(
                query=expression,
                alias=None if alias in ("", "__auto") else variables(alias)[:200],
                hidden=target.get("hide") is True,
                ref=name if _REF.fullmatch(name) else None,
                instant=target.get("instant") is True and target.get("range") is not True,
                format=_FORMATS.get(text(target.get("format")), "series"),
            )
        )
    return found


def _kind(target: dict[str, Any]) -> str:
    for key in ("rawSql", "target", "measurement", "query", "queryText", "expression"):
        if target.get(key):
            return f" (it has {key})"
    return ""
