"""Dashboards of Grafana, read with a report."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pulseboard.contracts.dashboards import DashboardDocument, PanelType, VariableType
from pulseboard.core.exceptions import InvalidRequest
from pulseboard.dashboards import document as dashboard_document
from pulseboard.dashboards import layout


def panel(kind: str = "timeseries", **fields: Any) -> dict[str, Any]:
    return {
        "type": kind,
        "title": "Requests",
        "gridPos": {"x": 0, "y": 0, "w": 12, "h": 8},
        "targets": [{"refId": "A", "expr": 'rate(requests_total{job="$job"}[$__rate_interval])'}],
        **fields,
    }


def read(*panels: dict[str, Any], **fields: Any) -> tuple[DashboardDocument, list[str]]:
    document = {"schemaVersion": 39, "title": "Service", "panels": list(panels), **fields}
    found, notes = dashboard_document.parse(document)
    return found, [f"{note.outcome} {note.place}: {note.message}" for note in notes]


def test_a_panel_with_its_options() -> None:
    found, notes = read(
        panel(
            description="All of them",
            fieldConfig={
                "defaults": {
                    "unit": "reqps",
                    "min": 0,
                    "decimals": 1,
                    "color": {"mode": "fixed", "fixedColor": "semi-dark-red"},
                    "custom": {
                        "fillOpacity": 10,
                        "spanNulls": True,
                        "stacking": {"mode": "normal"},
                        "scaleDistribution": {"type": "log", "log": 10},
                        "thresholdsStyle": {"mode": "area"},
                    },
                    "thresholds": {
                        "mode": "absolute",
                        "steps": [
                            {"color": "green", "value": None},
                            {"color": "rgba(237, 129, 40, 0.89)", "value": 80},
                        ],
                    },
                },
                "overrides": [
                    {
                        "matcher": {"id": "byRegexp", "options": "/^err.*/"},
                        "properties": [
                            {"id": "color", "value": {"fixedColor": "#f00", "mode": "fixed"}},
                            {"id": "custom.lineWidth", "value": 3},
                        ],
                    }
                ],
            },
            options={"legend": {"displayMode": "table", "showLegend": True, "calcs": ["mean"]}},
            links=[{"title": "Docs", "url": "https://example.com/docs"}],
        )
    )
    (created,) = found.panels
    assert (created.title, created.type) == ("Requests", PanelType.AREA)
    assert created.queries is not None
    assert created.queries[0].query == 'rate(requests_total{job="$job"}[$__rate_interval])'
    options = created.options
    assert (options.unit, options.decimals, options.color) == ("requests/s", 1, "red")
    assert (options.nulls, options.stacked, options.scale) == ("connect", True, "log")
    assert (options.legend, options.min, options.description) == ("table", 0, "All of them")
    assert [(step.value, step.color) for step in options.thresholds] == [
        (0, "green"),
        (80, "#ed8128"),
    ]
    assert [(one.match, one.color) for one in options.overrides] == [("err*", "#ff0000")]
    assert options.links[0].url == "https://example.com/docs"
    assert notes == [
        "taken panel Requests: area with 1 query",
        "dropped panel Requests: of the override of err*: custom.lineWidth",
    ]


def test_default_thresholds_that_grafana_does_not_draw_are_not_drawn() -> None:
    steps = [{"color": "green", "value": None}, {"color": "red", "value": 80}]
    config = {"defaults": {"thresholds": {"mode": "absolute", "steps": steps}}}
    found, _ = read(panel(fieldConfig=config), panel("gauge", fieldConfig=config))
    assert [len(created.options.thresholds) for created in found.panels] == [0, 2]


def test_panels_stay_neighbours_and_rows_leave_no_gap() -> None:
    def at(title: str, x: int, y: int, w: int, h: int) -> dict[str, Any]:
        return panel(title=title, gridPos={"x": x, "y": y, "w": w, "h": h})

    row = {"type": "row", "title": "Top", "gridPos": {"x": 0, "y": 0, "w": 24, "h": 1}}
    closed = {**row, "title": "Closed", "panels": [at("inner", 0, 20, 24, 8)]}
    found, notes = read(
        row, at("a", 0, 1, 3, 4), at("b", 3, 1, 3, 4), at("c", 6, 1, 18, 8), at("d", 0, 9, 24, 8),
        closed,
    )  # fmt: skip
    positions = {created.title: created.position for created in found.panels}
    assert list(positions) == ["a", "b", "c", "d", "inner"]
    assert (positions["a"].x, positions["b"].x, positions["c"].x, positions["d"].w) == (0, 2, 3, 12)
    assert positions["a"].y == positions["b"].y == positions["c"].y == 0
    assert positions["inner"].y == positions["d"].y + positions["d"].h
    standing = list(positions.values())
    assert not any(
        layout.overlap(one, other) for i, one in enumerate(standing) for other in standing[:i]
    )
    assert "dropped row Top: rows are not imported; their panels are" in notes


def test_what_can_not_be_imported_is_named() -> None:
    found, notes = read(
        panel("text", title="Hello", targets=[]),
        panel(title="SQL", targets=[{"refId": "A", "rawSql": "select 1"}]),
        panel("heatmap", title="Heat"),
        panel(title="Old", transformations=[{"id": "merge"}], alert={"name": "x"}),
        annotations={"list": [{"name": "Deploys"}, {"name": "Own", "builtIn": 1}]},
        time={"from": "now/d", "to": "now/d"},
    )
    assert [created.title for created in found.panels] == ["Heat", "Old"]
    for expected in (
        'dropped panel Hello: panels of type "text" are unknown',
        "dropped panel SQL: query A is no Prometheus expression (it has rawSql)",
        "dropped panel SQL: it has no query that can be imported",
        'changed panel Heat: the type "heatmap" is unknown: it is drawn as line',
        "dropped panel Old: transformations: merge",
        "dropped panel Old: its alert: make an alert rule of it",
        "dropped annotation Deploys: alerts mark the axis",
        "changed time range: now/d to now/d can't be a default: 1h is shown first",
    ):
        assert expected in notes
    assert not [note for note in notes if "annotation Own" in note]


def test_a_query_beyond_the_language_is_variables_and_named() -> None:
    targets = [
        {"refId": "A", "expr": 'rate($metric{job=~"$job"}[$__rate_interval])'},
        {"refId": "B", "expr": "holt_winters(up[1h], 0.5, 0.5)"},
    ]
    found, notes = read(panel(targets=targets))
    assert found.panels[0].queries is not None
    assert len(found.panels[0].queries) == 2
    (named,) = [note for note in notes if note.startswith("changed")]
    assert "query B is imported, but not supported" in named


def test_variables() -> None:
    listed = [
        {"type": "datasource", "name": "ds", "query": "prometheus"},
        {
            "type": "query",
            "name": "job",
            "query": {"query": "label_values(up, job)"},
            "multi": True,
            "includeAll": True,
            "current": {"value": ["$__all"]},
        },
        {
            "type": "query",
            "name": "node",
            "query": 'label_values(up{job="$job"}, instance)',
            "regex": "/web.*/",
            "current": {"value": "web-1"},
        },
        {"type": "query", "name": "anything", "query": "query_result(up)"},
        {"type": "custom", "name": "env", "query": "Production : prod, test\\,ing"},
        {"type": "interval", "name": "every", "query": "auto,1m,10m,1M"},
        {"type": "constant", "name": "team", "query": "core"},
        {"type": "adhoc", "name": "filters"},
    ]
    found, notes = read(templating={"list": listed})
    variables = {one.name: one for one in found.settings.variables}
    assert list(variables) == ["job", "node", "env", "every", "team"]
    assert (variables["job"].type, variables["job"].metric, variables["job"].tag) == (
        VariableType.TAG,
        "up",
        "job",
    )
    assert (variables["job"].multi, variables["job"].include_all, variables["job"].default) == (
        True,
        True,
        [],
    )
    assert variables["node"].default == ["web-1"]
    assert variables["env"].values == ["prod", "test,ing"]
    assert (variables["every"].type, variables["every"].values) == (
        VariableType.INTERVAL,
        ["1m", "10m"],
    )
    assert variables["team"].values == ["core"]
    for expected in (
        "dropped variable ds: it chose a data source: there is one",
        'changed variable node: values of all up, not only of up{job="$job"}',
        "changed variable node: its filter /web.*/ is not imported",
        "dropped variable anything: its values come from query_result(up)",
        'dropped variable filters: variables of type "adhoc" are unknown',
    ):
        assert expected in notes


def test_boards_from_before_the_grid() -> None:
    old = {
        "type": "graph",
        "title": "[[host]] load",
        "span": 6,
        "bars": True,
        "lines": False,
        "nullPointMode": "null as zero",
        "yaxes": [{"format": "Bps", "logBase": 10, "min": "0"}, {"show": True}],
        "targets": [{"refId": "A", "expr": 'load{host=~"[[host]]"}', "legendFormat": "{{host}}"}],
        "aliasColors": {"web-1": "#7EB26D"},
    }
    stat = {
        "type": "singlestat",
        "title": "Up",
        "span": 6,
        "format": "percentunit",
        "valueName": "avg",
        "thresholds": "0.5,0.9",
        "colors": ["red", "orange", "green"],
        "targets": [{"expr": "up"}],
    }
    document = {
        "dashboard": {
            "title": "Old",
            "refresh": "1s",
            "time": {"from": "now-6h", "to": "now"},
            "rows": [{"title": "One", "height": "250px", "panels": [old, stat]}],
        },
        "meta": {},
    }
    found, _ = dashboard_document.parse(document)
    assert (found.settings.time_range, found.settings.refresh) == ("6h", "5s")
    graph, single = found.panels
    assert (graph.title, graph.type, graph.options.nulls) == (
        "${host} load",
        PanelType.BAR,
        "zero",
    )
    assert graph.queries is not None
    assert graph.queries[0].query == 'load{host=~"${host}"}'
    assert (graph.options.unit, graph.options.scale, graph.options.min) == (
        "decbytes/s",
        "log",
        0,
    )
    assert [(one.match, one.color) for one in graph.options.overrides] == [("web-1", "#7eb26d")]
    assert (graph.position.x, graph.position.w, single.position.x) == (0, 6, 6)
    assert (single.type, single.options.unit, single.options.calculation) == (
        PanelType.STAT,
        "ratio",
        "avg",
    )
    assert [step.value for step in single.options.thresholds] == [0, 0.5, 0.9]


def test_the_newer_format_is_refused_with_a_way_out() -> None:
    document = {"apiVersion": "dashboard.grafana.app/v2beta1", "spec": {"elements": {"a": {}}}}
    with pytest.raises(InvalidRequest) as refused:
        dashboard_document.parse({**document, "panels": []})
    assert refused.value.details is not None
    assert "Classic" in (refused.value.details[0].hint or "")


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["type", "title", "gridPos", "targets", "expr", "fieldConfig", "defaults", "custom",
             "thresholds", "steps", "value", "color", "x", "y", "w", "h", "panels", "min", "max",
             "options", "legend", "calcs", "overrides", "matcher", "id", "name", "query", "links",
             "url", "repeat", "current", "yaxes", "span", "height", "unit", "decimals"]
        ),
        inner,
        max_size=5,
    ),
    max_leaves=25,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(
    panels=st.lists(_json, max_size=4),
    rows=st.none() | st.lists(_json, max_size=2),
    variables=st.lists(_json, max_size=3),
    time=_json,
)
def test_whatever_stands_in_the_file_is_read_or_reported(
    panels: list[Any], rows: Any, variables: list[Any], time: Any
) -> None:
    typed = [
        {"type": "timeseries", "targets": [{"expr": "up"}], **one} if isinstance(one, dict) else one
        for one in panels
    ]
    found, _ = dashboard_document.parse(
        {"panels": typed, "rows": rows, "templating": {"list": variables}, "time": time}
    )
    assert DashboardDocument.model_validate(found.model_dump()) == found


def test_values_are_mapped_to_texts_and_colours() -> None:
    special = {"type": "special", "options": {"match": "null", "result": {"text": "N/A"}}}
    found, notes = read(
        panel(
            "stat",
            fieldConfig={
                "defaults": {
                    "mappings": [
                        {"type": "value", "options": {"0": {"text": "Down", "color": "red"}}},
                        {"type": "range", "options": {"from": 1, "result": {"color": "green"}}},
                        {"type": "regex", "options": {"pattern": "x", "result": {"text": "X"}}},
                        special,
                    ]
                }
            },
        ),
        panel("singlestat", valueMaps=[{"op": "=", "value": "1", "text": "Up"}]),
    )
    new, old = found.panels
    assert [(m.low, m.high, m.text, m.color) for m in new.options.mappings] == [
        (0, 0, "Down", "red"),
        (1, None, None, "green"),
    ]
    assert [(m.low, m.high, m.text) for m in old.options.mappings] == [(1, 1, "Up")]
    assert [note for note in notes if "mapping" in note] == [
        "dropped panel Requests: a value mapping: regex"
    ]


def test_what_is_sent_is_drawn_below_zero_as_it_was() -> None:
    found, _ = read(
        panel(
            fieldConfig={
                "overrides": [
                    {
                        "matcher": {"id": "byRegexp", "options": "/.*sent.*/"},
                        "properties": [{"id": "custom.transform", "value": "negative-Y"}],
                    }
                ]
            }
        ),
        panel("graph", seriesOverrides=[{"alias": "out", "transform": "negative-Y"}]),
    )
    assert [
        (override.match, override.negative)
        for created in found.panels
        for override in created.options.overrides
    ] == [("*sent*", True), ("out", True)]


def test_a_variable_may_stand_for_a_number_and_all_of_a_metric_is_no_filter() -> None:
    found, notes = read(
        panel(targets=[{"refId": "A", "expr": "topk($count, up)"}]),
        templating={
            "list": [
                {"name": "count", "type": "custom", "query": "5,10"},
                {
                    "name": "node",
                    "type": "query",
                    "query": "label_values(up{}, instance)",
                    "regex": "/(.*)/",
                },
            ]
        },
    )
    assert len(found.settings.variables) == 2
    assert not [note for note in notes if not note.startswith("taken")]


def test_a_variable_by_query_result_uses_the_label_that_its_regex_extracts() -> None:
    found, _ = read(
        panel(),
        templating={
            "list": [
                {
                    "name": "job",
                    "type": "query",
                    "query": "query_result(count by (job) (node_uname_info))",
                    "regex": '/.*job="([^"]+)".*/',
                    "current": {"value": "master"},
                },
                {
                    "name": "node",
                    "type": "query",
                    "query": {"query": 'query_result(node_uname_info{job="$job"})'},
                    "regex": '/.*instance="([^"]+)".*/',
                },
            ]
        },
    )
    job, node = found.settings.variables
    assert (job.metric, job.tag, job.default) == ("node_uname_info", "job", ["master"])
    assert (node.metric, node.tag) == ("node_uname_info", "instance")
