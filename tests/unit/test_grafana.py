"""Dashboards of Grafana, read with a report."""

import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pulseboard.contracts.dashboards import DashboardDocument, PanelType
from pulseboard.contracts.variables import VariableType
from pulseboard.dashboards import document as dashboard_document
from pulseboard.dashboards import layout
from pulseboard.dashboards.grafana import export


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
        (80, "#ed8128"),
    ]
    assert [(one.by, one.match, one.color, one.line_width) for one in options.overrides] == [
        ("pattern", "^err.*", "#ff0000", 3)
    ]
    assert options.links[0].url == "https://example.com/docs"
    assert notes == ["taken panel Requests: area with 1 queries"]


def test_default_thresholds_that_grafana_does_not_draw_are_not_drawn() -> None:
    steps = [{"color": "green", "value": None}, {"color": "red", "value": 80}]
    config = {"defaults": {"thresholds": {"mode": "absolute", "steps": steps}}}
    found, _ = read(panel(fieldConfig=config), panel("gauge", fieldConfig=config))
    assert [len(created.options.thresholds) for created in found.panels] == [0, 1]
    assert [created.options.base_color for created in found.panels] == [None, "green"]


def test_rows_keep_their_panels_and_leave_no_gap() -> None:
    def at(title: str, x: int, y: int, w: int, h: int) -> dict[str, Any]:
        return panel(title=title, gridPos={"x": x, "y": y, "w": w, "h": h})

    row = {"type": "row", "title": "Top", "gridPos": {"x": 0, "y": 0, "w": 24, "h": 1}}
    closed = {
        **row,
        "title": "Closed",
        "collapsed": True,
        "repeat": "job",
        "gridPos": {"x": 0, "y": 17, "w": 24, "h": 1},
        "panels": [at("inner", 0, 20, 24, 8)],
    }
    found, _ = read(
        row, at("a", 0, 1, 3, 4), at("b", 3, 1, 3, 4), at("c", 6, 1, 18, 8), at("d", 0, 9, 24, 8),
        closed, at("after", 0, 18, 24, 8),
    )  # fmt: skip
    positions = {created.title: created.position for created in found.panels}
    assert list(positions) == ["Top", "a", "b", "c", "d", "Closed", "inner", "", "after"]
    assert (positions["a"].x, positions["b"].x, positions["c"].x, positions["d"].w) == (0, 2, 3, 12)
    assert positions["a"].y == positions["b"].y == positions["c"].y == 1
    assert positions["Closed"].y == positions["d"].y + positions["d"].h
    assert positions["inner"].y == positions["Closed"].y + 1
    head = found.panels[5]
    assert (head.type, head.options.collapsed, head.options.repeat) == ("row", True, "job")
    standing = list(positions.values())
    assert not any(
        layout.overlap(one, other) for i, one in enumerate(standing) for other in standing[:i]
    )


def test_what_is_not_drawn_keeps_its_place_and_its_json() -> None:
    flow = panel("nodeGraph", title="Flow")
    found, notes = read(
        panel("text", title="Hello", targets=[], options={"content": "# $job"}),
        panel(title="SQL", targets=[{"refId": "A", "rawSql": "select 1"}]),
        flow,
        panel(title="Old", transformations=[{"id": "regression"}], alert={"name": "x"}),
        annotations={"list": [{"name": "Deploys"}, {"name": "Own", "builtIn": 1}]},
        time={"from": "now/d", "to": "now/d"},
    )
    kinds = {created.title: created.type for created in found.panels}
    assert kinds == {"Hello": "text", "SQL": "unknown", "Flow": "unknown", "Old": "line"}
    (kept,) = [created for created in found.panels if created.title == "Flow"]
    assert kept.options.source == flow
    for expected in (
        'dropped panel Flow: panels of type "nodeGraph" are not drawn: place and JSON are kept',
        'dropped panel SQL: query "A" is no Prometheus expression (it has rawSql)',
        "dropped panel SQL: no query is for Prometheus: place and JSON are kept",
        'dropped panel Old: the transformation "regression"',
        "dropped panel Old: its alert: make an alert rule of it",
        "dropped annotation Deploys: annotations are not drawn; alerts mark the axis",
        "changed time range: now/d to now/d can't be a default: 1h is shown first",
    ):
        assert expected in notes
    assert not [note for note in notes if "annotation Own" in note]
    outcomes = [note.split()[0] for note in notes]
    assert outcomes == sorted(outcomes, key=["dropped", "changed", "taken"].index)


def test_a_query_beyond_the_language_is_variables_and_named() -> None:
    targets = [
        {"refId": "A", "expr": 'rate($metric{job=~"$job"}[$__rate_interval])'},
        {"refId": "B", "expr": "no_such_function(up[1h])"},
    ]
    found, notes = read(panel(targets=targets))
    assert found.panels[0].queries is not None
    assert len(found.panels[0].queries) == 2
    (named,) = [note for note in notes if note.startswith("changed")]
    assert 'query "B" is imported, but not supported' in named


def test_variables() -> None:
    listed: list[dict[str, Any]] = [
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
    assert list(variables) == [entry["name"] for entry in listed]
    job, node, env = variables["job"], variables["node"], variables["env"]
    assert (job.type, job.query, job.multi, job.include_all, job.default) == (
        VariableType.QUERY,
        "label_values(up, job)",
        True,
        True,
        ["$__all"],
    )
    assert (node.query, node.regex, node.default) == (
        'label_values(up{job="$job"}, instance)',
        "/web.*/",
        ["web-1"],
    )
    assert (env.values, env.texts) == (["prod", "test,ing"], {"prod": "Production"})
    assert (variables["every"].type, variables["every"].values) == (
        VariableType.INTERVAL,
        ["1m", "10m"],
    )
    assert variables["team"].values == ["core"]
    assert variables["filters"].type is VariableType.FILTERS
    assert variables["ds"].type is VariableType.DATA_SOURCE
    assert all(note.startswith("taken") for note in notes)


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
    assert [step.value for step in single.options.thresholds] == [0.5, 0.9]
    assert (single.options.base_color, single.options.color_mode) == ("red", "none")


def test_the_resource_format_is_read() -> None:
    def element(title: str, kind: str = "timeseries") -> dict[str, Any]:
        query = {"kind": "DataQuery", "group": "prometheus", "spec": {"expr": "up"}}
        return {
            "kind": "Panel",
            "spec": {
                "id": len(title),
                "title": title,
                "data": {
                    "kind": "QueryGroup",
                    "spec": {
                        "queries": [{"kind": "PanelQuery", "spec": {"refId": "A", "query": query}}]
                    },
                },
                "vizConfig": {"kind": "VizConfig", "group": kind, "spec": {"options": {}}},
            },
        }

    def at(name: str, x: int) -> dict[str, Any]:
        place = {"x": x, "y": 0, "width": 12, "height": 8}
        element = {"kind": "ElementReference", "name": name}
        return {"kind": "GridLayoutItem", "spec": {**place, "element": element}}

    grid = {"kind": "GridLayout", "spec": {"items": [at("one", 0), at("two", 12)]}}
    auto = {"kind": "AutoGridLayout", "spec": {"maxColumnCount": 2, "items": [at("three", 0)]}}
    rows = [
        {"kind": "RowsLayoutRow", "spec": {"title": "Row", "collapse": True, "layout": grid}},
    ]
    tabs = [
        {
            "kind": "TabsLayoutTab",
            "spec": {"title": "Tab", "layout": {"kind": "RowsLayout", "spec": {"rows": rows}}},
        },
        {"kind": "TabsLayoutTab", "spec": {"title": "More", "layout": auto}},
    ]
    variable = {
        "kind": "QueryVariable",
        "spec": {
            "name": "job",
            "hide": "hideLabel",
            "sort": "alphabeticalAsc",
            "query": {"kind": "DataQuery", "spec": {"query": "label_values(up, job)"}},
        },
    }
    document = {
        "apiVersion": "dashboard.grafana.app/v2beta1",
        "kind": "Dashboard",
        "spec": {
            "title": "New",
            "elements": {
                "one": element("One"), "two": element("Two2", "stat"), "three": element("Three")
            },
            "layout": {"kind": "TabsLayout", "spec": {"tabs": tabs}},
            "variables": [variable],
            "timeSettings": {"from": "now-6h", "to": "now", "autoRefresh": "30s"},
        },
    }  # fmt: skip
    found, _ = dashboard_document.parse(document)
    assert [(each.title, each.type, each.options.section) for each in found.panels] == [
        ("Tab", "row", "tab"), ("Row", "row", "row"), ("One", "line", "row"),
        ("Two2", "stat", "row"), ("More", "row", "tab"), ("Three", "line", "row"),
    ]  # fmt: skip
    (job,) = found.settings.variables
    assert (job.query, job.hide, job.sort) == ("label_values(up, job)", "label", "text")
    assert (found.settings.time_range, found.settings.refresh) == ("6h", "30s")


def test_an_untouched_board_comes_back_as_it_was() -> None:
    source: dict[str, Any] = {
        "schemaVersion": 39,
        "title": "Service",
        "uid": "abc",
        "tags": ["x"],
        "templating": {"list": [{"type": "query", "name": "job", "query": "label_values(job)"}]},
        "panels": [
            {**panel(title="One"), "id": 1, "fieldConfig": {"defaults": {"custom": {"x": 1}}}},
            {**panel("nodeGraph", title="Two"), "id": 2, "gridPos": {"y": 8, "w": 24, "h": 8}},
        ],
    }
    found, _ = dashboard_document.parse(source)
    stored = DashboardDocument.model_validate_json(found.model_dump_json())
    assert export.export(stored, source=source) == source
    # A change of one panel leaves the others, and what we don't know, as they were.
    one, two = stored.panels
    assert one.queries is not None
    changed = one.model_copy(
        update={"queries": [one.queries[0].model_copy(update={"query": "changed"})]}
    )
    written = export.export(stored.model_copy(update={"panels": [changed, two]}), source=source)
    assert written["panels"][1] == source["panels"][1]
    assert (written["uid"], written["templating"]) == ("abc", source["templating"])
    assert written["panels"][0]["targets"][0]["expr"] == "changed"
    again, _ = dashboard_document.parse(written)
    assert [(each.title, each.type) for each in again.panels] == [
        ("One", "line"), ("Two", "unknown")
    ]  # fmt: skip


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


@settings(max_examples=75, deadline=None)
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
        (None, None, "X", None),
        (None, None, "N/A", None),
    ]
    assert [(m.low, m.high, m.text) for m in old.options.mappings] == [(1, 1, "Up")]
    assert [(m.pattern, m.special) for m in new.options.mappings[2:]] == [
        ("*x*", None), (None, "empty")
    ]  # fmt: skip
    assert not [note for note in notes if "mapping" in note]


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
    ] == [(".*sent.*", True), ("out", True)]


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


def _row(number: int) -> dict[str, Any]:
    return {"type": "row", "title": f"r{number}", "collapsed": True, "panels": [{"id": number}]}


def _element(number: int) -> dict[str, Any]:
    return {"kind": "Panel", "spec": {"id": number, "title": "t"}}


def _v2_row(number: int) -> dict[str, Any]:
    named = {"kind": "ElementReference", "name": f"p{number}"}
    item = {"kind": "GridLayoutItem", "spec": {"x": 0, "y": 0, "element": named}}
    inner = {"kind": "GridLayout", "spec": {"items": [item]}}
    return {"kind": "RowsLayoutRow", "spec": {"title": f"r{number}", "layout": inner}}


def _resource(count: int) -> dict[str, Any]:
    rows = {"kind": "RowsLayout", "spec": {"rows": [_v2_row(n) for n in range(count)]}}
    spec = {"elements": {f"p{n}": _element(n) for n in range(count)}, "layout": rows}
    return {"apiVersion": "dashboard.grafana.app/v2beta1", "kind": "Dashboard", "spec": spec}


LARGE: dict[str, Callable[[int], dict[str, Any]]] = {
    "panels": lambda count: {"panels": [{"id": n, "type": "stat"} for n in range(count)]},
    "folded rows": lambda count: {"panels": [_row(n) for n in range(count)]},
    "a row of many": lambda count: {
        "panels": [{"type": "row", "panels": [{"id": n} for n in range(count)]}]
    },
    "old rows": lambda count: {
        "rows": [{"title": "r", "panels": [{"id": n}]} for n in range(count)]
    },
    "rows of resources": _resource,
    "variables": lambda count: {
        "panels": [],
        "templating": {
            "list": [
                {"type": "query", "name": f"v{n}", "query": f'label_values(up{{a="$v{n - 1}"}}, b)'}
                for n in range(count)
            ]
        },
    },
    "overrides": lambda count: {
        "panels": [
            panel("timeseries", fieldConfig={"overrides": [
                {"matcher": {"id": "byName", "options": f"a{n}"}, "properties": [{"id": "unit"}]}
                for n in range(count)
            ]})
        ]
    },
    "queries": lambda count: {
        "panels": [{"targets": [{"expr": "up", "refId": f"A{n}"} for n in range(count)]}]
    },
}  # fmt: skip


def _calls(document: dict[str, Any]) -> int:
    """The function calls that an import makes."""
    made = 0

    def count(*_: object) -> None:
        nonlocal made
        made += 1

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        dashboard_document.parse({"schemaVersion": 39, **document})
    finally:
        sys.setprofile(before)
    return made


@pytest.mark.parametrize("name", LARGE)
def test_an_import_takes_work_in_proportion_to_its_file(name: str) -> None:
    make = LARGE[name]
    # Beyond what a board may have, too.
    once, twice, four_times = (_calls(make(count)) for count in (150, 300, 600))
    assert four_times - twice <= 2.5 * max(twice - once, 100)
