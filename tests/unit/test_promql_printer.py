"""Writing expressions: parsed again, they are the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulseboard.core.exceptions import InvalidRequest
from pulseboard.promql.parser import parse_any
from pulseboard.promql.printer import printed
from tests.unit.test_promql_parser import PIECES


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("sum by(a,b)(rate(x[5m]))", "sum by (a, b) (rate(x[5m]))"),
        ("sum(x)without(a)", "sum without (a) (x)"),
        ("a+(b*c)", "a + b * c"),
        ("(a+b)*c", "(a + b) * c"),
        ("a-(b-c)", "a - (b - c)"),
        ("(2^3)^2", "(2 ^ 3) ^ 2"),
        ("-(x^2)", "-x ^ 2"),
        ("(-x)^2", "(-x) ^ 2"),
        ("a/on(h)group_left(z)b", "a / on (h) group_left (z) b"),
        ("a==bool ignoring(h)b", "a == bool ignoring (h) b"),
        ("x[1h:]offset 90m@end()", "x[1h:1m] @ end() offset 1h30m"),
        ("(a+b)[1h:5m]", "(a + b)[1h:5m]"),
        ("x @ 1.5", "x @ 1.500"),
        ('{"a b",c=~"d.*"}', '{"a b",c=~"d.*"}'),
        ('count_values("v",x)', 'count_values("v", x)'),
        ("1e400", "+Inf"),
        ("'a\\nb\"'", '"a\\nb\\""'),
    ],
)
def test_an_expression_has_one_form(text: str, shown: str) -> None:
    assert printed(parse_any(text)) == shown
    assert parse_any(shown) == parse_any(text)


@given(st.lists(st.sampled_from(PIECES), max_size=12).map(" ".join))
def test_any_expression_is_the_same_when_it_is_parsed_again(text: str) -> None:
    try:
        tree = parse_any(text)
    except InvalidRequest:
        return
    assert parse_any(printed(tree)) == tree
