"""Variables' queries, patterns, order and what is chosen, without a database."""

import pytest

from pulseboard.catalogue.selector import Matcher
from pulseboard.contracts.variables import ChosenValues, Variable, VariableSort, VariableType
from pulseboard.core.exceptions import InvalidRequest
from pulseboard.query.variables.interpolate import Chosen, fill, references
from pulseboard.query.variables.options import choose, options_of
from pulseboard.query.variables.resolve import in_order
from pulseboard.query.variables.variable_query import (
    LabelNames,
    LabelValues,
    MetricNames,
    QuerySeries,
    VariableQuery,
    parse_query,
)

BY_A = (Matcher("a", "=", "b,c"),)
BY_NAME = (Matcher("__name__", "=~", "a|b"),)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("label_values(instance)", LabelValues("instance")),
        ("label_values(up, instance)", LabelValues("instance", "up")),
        (' label_values( up{a="b,c"} , "x.y" ) ', LabelValues("x.y", "up", BY_A)),
        ('label_values({__name__=~"a|b"}, x)', LabelValues("x", None, BY_NAME)),
        ("label_names()", LabelNames()),
        ("label_names(up)", LabelNames("up")),
        ("metrics(node_.*)", MetricNames("node_.*")),
        ("query_result(topk(5, up))", QuerySeries("topk(5, up)")),
        ("sum(up) by (job)", QuerySeries("sum(up) by (job)")),
    ],
)  # fmt: skip
def test_a_query_is_parsed(text: str, expected: VariableQuery) -> None:
    assert parse_query(text) == expected


@pytest.mark.parametrize(
    "text", ["", "label_values(up{a='b'})", "label_values(sum(up), x)", "metrics([)"]
)
def test_a_wrong_query_says_what_to_write(text: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_query(text)
    assert refused.value.details


SCOPE = {
    "job": Chosen(("node",)),
    "hosts": Chosen(("a.b", "c")),
    "all": Chosen(("a", "b"), all=True, all_value=".+"),
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('up{job="$job"}', 'up{job="node"}'),
        ('up{job="[[job]]"}', 'up{job="node"}'),
        ('up{h=~"${hosts}"}', r'up{h=~"(a\\.b|c)"}'),
        ("${hosts:csv} ${hosts:pipe} ${hosts:json}", 'a.b,c a.b|c ["a.b", "c"]'),
        ('up{h=~"$all"}', 'up{h=~".+"}'),
        ("$unknown $jobs", "$unknown $jobs"),
    ],
)
def test_variables_are_filled_in(text: str, expected: str) -> None:
    assert fill(text, SCOPE) == expected


def test_references_are_found_in_each_form() -> None:
    assert references("$a ${b} ${c:csv} [[d]] [[e:pipe]]") == {"a", "b", "c", "d", "e"}


def query(name: str = "x", **fields: object) -> Variable:
    fields = {"query": "label_values(up, x)", **fields}
    return Variable.model_validate({"name": name, "type": VariableType.QUERY, **fields})


@pytest.mark.parametrize(
    ("regex", "expected"),
    [
        (None, [("web-1", "web-1"), ("web-10", "web-10"), ("db-1", "db-1")]),
        ("/web/", [("web-1", "web-1"), ("web-10", "web-10")]),
        ("web.*", [("web-1", "web-1"), ("web-10", "web-10")]),
        ("web", []),
        ("/WEB-(.*)/i", [("1", "1"), ("10", "10")]),
        ("/(?<text>[a-z]+)-(?<value>\\d+)/", [("web", "1"), ("web", "10")]),
    ],
)
def test_a_pattern_chooses_and_cuts(regex: str | None, expected: list[tuple[str, str]]) -> None:
    found = options_of(["web-1", "web-10", "db-1"], query(sort=VariableSort.NONE), regex=regex)
    assert [(option.text, option.value) for option in found] == expected


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        (VariableSort.NONE, ["b10", "B2", "a1"]),
        (VariableSort.TEXT, ["B2", "a1", "b10"]),
        (VariableSort.NUMBER_DESC, ["b10", "B2", "a1"]),
        (VariableSort.TEXT_IGNORE_CASE, ["a1", "b10", "B2"]),
        (VariableSort.NATURAL, ["a1", "B2", "b10"]),
    ],
)
def test_values_are_sorted(sort: VariableSort, expected: list[str]) -> None:
    assert [o.value for o in options_of(["b10", "B2", "a1"], query(sort=sort))] == expected


def test_any_text_has_a_place_in_natural_order() -> None:
    long = "9" * 5000
    found = options_of(["²", long, "a²", "10", "٣", "009"], query(sort=VariableSort.NATURAL))
    assert [o.value for o in found][:2] == ["009", "٣"]
    assert {o.value for o in found} == {"²", long, "a²", "10", "٣", "009"}


def test_a_pattern_that_can_not_be_read_says_so() -> None:
    with pytest.raises(InvalidRequest, match="pattern"):
        options_of(["a"], query(), regex="/(?!x)/")


def test_what_is_chosen_exists_where_it_depends_on_another_choice() -> None:
    options = options_of(["a", "b"], query())
    gone = ChosenValues(name="x", values=["gone"])
    assert choose(query(), options, gone, depends=False).values == ["gone"]
    assert choose(query(), options, gone, depends=True).values == ["a"]
    assert choose(query(default=["b"]), options, gone, depends=True).values == ["b"]
    many = query(multi=True, include_all=True)
    assert choose(many, options, gone, depends=True).all
    assert choose(many, options, None, depends=True).values == ["a", "b"]


def test_each_variable_follows_those_that_it_refers_to() -> None:
    listed = [
        query("node", query='label_values(up{job="$job", zone="$zone"}, instance)'),
        query("job", query='label_values(up{zone="$zone"}, job)'),
        query("zone", query="label_values(up, zone)"),
        query("one", query="label_values(up, $two)"),
        query("two", query="label_values(up, $one)"),
    ]
    assert [each.name for each in in_order(listed)][:2] == ["zone", "job"]
    assert {each.name for each in in_order(listed)} == {each.name for each in listed}
