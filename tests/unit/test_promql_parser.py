"""Parsing expressions: what is supported, and at which position the rest is refused."""

import math
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulseboard.catalogue.selector import Matcher
from pulseboard.core.exceptions import InvalidRequest
from pulseboard.promql import Need, Read, functions, parse, parse_any, selectors
from pulseboard.promql.ast import (
    Aggregate,
    Binary,
    Call,
    Cardinality,
    Edge,
    Negate,
    Number,
    Select,
    Subquery,
    Text,
    Within,
)


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
    types = functions.FUNCTIONS[function].args
    args = ", ".join("x[1m]" if each is functions.Type.MATRIX else "0.5" for each in types)
    (read,) = selectors(parse(f"{function}({args})"))
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
        ("a{b='\\x00'}", 4),
        ("a{b='\0'}", 4),
        ("a{`\0`='b'}", 2),
        ("{'a\\000'}", 1),
        ("label_join(a, 'b', '\\u0000', 'c', 'd')", 19),
        ("label_replace(a, '\\U00000000', 'x', '', '')", 17),
        ("count_values('\\x00', a)", 13),
        ("absent(a{b='\\x00'})", 11),
        ('a{b=~"("}', 5),
        ('a{b=~"(?=a)"}', 5),
        ("cpu > $limit", 6),
        ("cpu{host='a}", 9),
        ("rate(x)", 0),
        ("1 + sum(rate(x)) + rate(y[5m])", 8),
        ("sum(x[5m])", 0),
        ("x[5m]", 0),
        ("(a + b) offset 5m", 8),
        ("(a + b) @ 5", 8),
        ("(a + b)[5m]", 7),
        ("x[5m][5m]", 5),
        ("1[5m:1m]", 1),
        ("x[5m:1m]", 0),
        ("x[0s]", 2),
        ("x[-5m]", 2),
        ("x @ start", 4),
        ("x @ 5 @ 6", 6),
        ("x offset 1m offset 2m", 12),
        ("sort_by_label(x, 'a')", 0),
        ("topk_max(3, x)", 0),
        ("count_values(1, x)", 0),
        ("label_join(x)", 0),
        ("pi(x)", 0),
        ("minute(x, x)", 0),
        ("a atan2", 7),
        ("a + bool b", 4),
        ("a and on(x) group_left b", 12),
        ("a / on(x) group_left(x) b", 10),
        ("1 + on(x) a", 2),
        ("1 and a", 2),
        ("a{b='\\q'}", 5),
        ("a{b='\\xff'}", 4),
        ("a{__name__='b'}", 0),
        ("{a=~'.*'}", 0),
        ("a + rat(x)", 4),
        ("a + 'b'", 2),
        ("1 > 2", 2),
        ("a =~ b", 2),
        ('a{b="c" or b="d"}', 8),
        ("a * group_left b", 4),
        ("sum by (a (x)", 10),
        ("quantile(0.9)", 0),
        ("abs(1)", 0),
        ('a + label_replace(x, "a", "$1", "b", "(?=a)")', 4),
        ("a[5x]", 3),
        ("{}", 0),
        ("'a'", 0),
        ("(" * 60 + "1" + ")" * 60, 50),
        ("-" * 60 + "1", 10),
        ("1" + "+1" * 300, 401),
    ],
)
def test_what_is_not_promql_is_refused_at_its_position(text: str, position: int) -> None:
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


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("0x1F", 31), ("0b11", 3), ("0o17", 15), ("017", 15), ("089", 89), ("1_000", 1_000)),
        *((".5", 0.5), ("1.", 1), ("1e3", 1_000), ("5m", 300), ("1h30m", 5_400), ("1ms", 0.001)),
        *(("Inf", math.inf), ("+inf", math.inf)),
    ],
)
def test_numbers_are_written_as_in_prometheus(text: str, value: float) -> None:
    assert parse(text) == Number(value)


@pytest.mark.parametrize("prefix", ["0x", "0b", "0o", "0", ""])
def test_a_number_beyond_the_largest_is_infinite(prefix: str) -> None:
    assert parse(prefix + "1" * 5000) == Number(math.inf)


def test_numbers_are_durations() -> None:
    assert parse("rate(x[300] offset 60)") == parse("rate(x[5m] offset 1m)")
    assert parse("max_over_time(x[3_600:0x3c])") == parse("max_over_time(x[1h:1m])")


def test_a_subquery_is_evaluated_every_minute_unless_it_says() -> None:
    tree = parse("max_over_time(rate(x[5m])[1h:] offset 1d)")
    assert isinstance(tree, Call)
    assert tree.args == (Subquery(parse("rate(x[5m])"), 3_600, 60, 86_400),)


def test_reads_name_the_subqueries_they_are_in() -> None:
    text = "max_over_time(sum(rate(x[5m]))[1h:2m] @ end()) + sum_over_time(y[10m:] offset 1m)"
    assert selectors(parse(text)) == [
        Read("x", (), 0, 300, Need.COUNTER, None, (Within(3_600, 120, 0, Edge.END),)),
        Read("y", (), 0, None, Need.LAST, None, (Within(600, 60, 60),)),
    ]


def test_offset_and_at_come_in_any_order() -> None:
    assert parse("x offset 5m @ 10") == parse("x @ 10 offset 5m")
    assert parse_any("x[1m] @ start()") == parse_any("x[60s]   @ START()")


@pytest.mark.parametrize(
    "name", ["by", "on", "bool", "offset", "sum", ":a", "a:b", "start", "atan"]
)
def test_keywords_and_colons_can_be_in_names(name: str) -> None:
    assert parse(f"1 + {name}") == parse(f'1 + {{"{name}"}}')


def test_texts_have_the_escapes_of_go() -> None:
    tree = parse(r"""x{a="\\\n\x41\u00e4\101", b=`\n`, c='"'}""")
    assert isinstance(tree, Select)
    assert [each.value for each in tree.matchers] == ["\\\nAäA", "\\n", '"']


def test_any_result_can_be_parsed_where_it_is_asked_for() -> None:
    assert parse_any("'a'") == Text("a")
    assert parse_any("x[5m]") == Select("x", (), window=300)


PIECES = (
    *("[5m:1m]", "[", ":", "]", "@", "end()", "-", "0x1", "atan2", "unless", "count_values"),
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
