"""Parsing expressions: what is supported, and at which position the rest is refused."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulseboard.catalogue.selector import Matcher
from pulseboard.core.exceptions import InvalidRequest
from pulseboard.query.promql import Need, Read, functions, parse, selectors
from pulseboard.query.promql.ast import Aggregate, Binary, Call, Cardinality, Negate, Select


def test_an_expression_becomes_a_tree_with_positions() -> None:
    text = 'sum by (host) (rate(x{a="b"}[5m] offset 1m)) / on(host) group_left(zone) y > bool 2'
    tree = parse(text)
    assert isinstance(tree, Binary)
    assert (tree.operator, tree.as_bool, text[tree.position]) == (">", True, ">")
    ratio = tree.left
    assert isinstance(ratio, Binary)
    assert ratio.matching.cardinality is Cardinality.MANY_TO_ONE
    assert (ratio.matching.on, ratio.matching.labels) == (True, ("host",))
    assert ratio.matching.include == ("zone",)
    total = ratio.left
    assert isinstance(total, Aggregate)
    assert (total.operator, total.labels, total.without) == ("sum", ("host",), False)
    assert isinstance(total.expr, Call)
    assert text[total.expr.position :].startswith("rate(")
    assert total.expr.args == (Select("x", (Matcher("a", "=", "b"),), 60, 300),)


def test_reads_name_the_statistics_they_need() -> None:
    text = "rate(x[5m]) + rate(x[5m]) + quantile_over_time(0.9, x[5m]) + x + x offset 1h"
    assert selectors(parse(text)) == [
        Read("x", (), 0, 300, Need.COUNTER),
        Read("x", (), 0, 300, Need.SAMPLES),
        Read("x", (), 0, None, Need.LAST),
        Read("x", (), 3600, None, Need.LAST),
    ]


@pytest.mark.parametrize("function", functions.WINDOW_NEEDS)
def test_each_range_function_has_its_need(function: str) -> None:
    first = "0.5, " if function == "quantile_over_time" else ""
    (read,) = selectors(parse(f"{function}({first}x[1m])"))
    assert read.needs is functions.WINDOW_NEEDS[function]


@pytest.mark.parametrize(
    "text",
    ["system.cpu", '{"system.cpu"}', "system.cpu{}", '{__name__="system.cpu"}', " system.cpu # it"],
)
def test_dotted_names_are_parsed_anywhere(text: str) -> None:
    assert parse(text) == Select("system.cpu", ())
    assert parse(f"1 + {text}\n") == parse('1 + {"system.cpu"}')


def test_dotted_tag_keys_are_parsed() -> None:
    tree = parse('sum by (k8s.pod, host) (cpu.user{k8s.node=~"a.*", "k8s.zone"!="b"})')
    assert isinstance(tree, Aggregate)
    assert tree.labels == ("k8s.pod", "host")
    assert isinstance(tree.expr, Select)
    assert [matcher.key for matcher in tree.expr.matchers] == ["k8s.node", "k8s.zone"]


def test_precedence_is_that_of_prometheus() -> None:
    assert parse("-x^2") == Negate(parse("(x^2)"))
    assert parse("a + b * c") == parse("a + (b * c)")
    assert parse("2 ^ 3 ^ 2") == parse("2 ^ (3 ^ 2)")
    assert parse("a or b and c") == parse("a or (b and c)")
    assert parse("a > b + 1 == c") == parse("(a > (b + 1)) == c")


def test_spaces_and_case_of_keywords_do_not_matter() -> None:
    assert repr(parse("SUM BY(a)(x)")) == repr(parse("sum(x)  by (a)"))


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("", 0),
        ("1 +", 3),
        ("a b", 2),
        ("sum(x", 3),
        ("x + rate(x[5m", 10),
        ("a{b}", 3),
        ('a{b=~"("}', 5),
        ('a{b=~"(?=a)"}', 5),
        ("cpu > $limit", 6),
        ("cpu{host='a}", 9),
        ("rate(x)", 0),
        ("1 + sum(rate(x)) + rate(y[5m])", 8),
        ("sum(x[5m])", 0),
        ("x[5m]", 0),
        ("x[5m:1m]", 1),
        ("max_over_time(rate(x[5m])[1h:])", 25),
        ("x @ 5", 2),
        ("(a) offset 5m", 4),
        ("a + rat(x)", 4),
        ("sort(x)", 0),
        ("a + 'b'", 2),
        ("1 > 2", 2),
        ("a =~ b", 2),
        ('a{b="c" or b="d"}', 8),
        ("a * group_left b", 4),
        ("sum by (a (x)", 10),
        ("quantile(0.9)", 0),
        ("abs(1)", 0),
        ('a + label_replace(x, "a", "$1", "b", "(?=a)")', 4),
        ("a[5x]", 2),
        ("{}", 0),
        ("'a'", 0),
        ("(" * 60 + "1" + ")" * 60, 50),
        ("-" * 60 + "1", 10),
        ("1" + "+1" * 300, 401),
    ],
)
def test_what_is_outside_the_subset_is_refused_at_its_position(text: str, position: int) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse(text)
    assert caught.value.details is not None
    detail = caught.value.details[0]
    assert detail.position == position
    assert detail.hint
    assert f"character {position + 1}" in caught.value.message


def test_a_misspelt_function_is_suggested() -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse("histogram_quantle(0.9, x)")
    assert caught.value.details is not None
    assert "histogram_quantile" in (caught.value.details[0].hint or "")


PIECES = (
    *("x", "a.b", "rate", "sum", "by", "(", ")", "[5m]", "{", "}", 'a="b"', "+", "-", ">", "bool"),
    *("on", "(a)", "and", "offset", "5m", "1", ",", "topk", '"t"', "time()", "or", "1e400"),
)


@given(st.text(max_size=40) | st.lists(st.sampled_from(PIECES), max_size=12).map(" ".join))
def test_any_text_is_parsed_or_refused_at_a_position_inside_it(text: str) -> None:
    refused = None
    try:
        tree = parse(text)
    except InvalidRequest as error:
        refused = error
    if refused is None:
        assert repr(tree) == repr(parse(f" ( {text}\n) "))
        selectors(tree)
    else:
        assert refused.details
        assert refused.details[0].position in range(len(text) + 1)


def test_the_editor_offers_what_there_is(repository: Path) -> None:
    source = repository / "frontend/src/features/dashboard/panel-editor/functions.ts"
    offered = re.findall(r"^  (\w+): (?:\{|over|of|grouped)", source.read_text(), re.MULTILINE)
    assert sorted(offered) == sorted((*functions.AGGREGATIONS, *functions.FUNCTIONS))
