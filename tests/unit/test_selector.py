"""Parsing selectors."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulseboard.catalogue.selector import Matcher, parse
from pulseboard.core.exceptions import InvalidRequest


def test_names_may_be_bare_or_quoted() -> None:
    assert parse(" system.load.1 ").name == "system.load.1"
    assert parse('{"system.cpu", host="a"}').name == "system.cpu"
    assert parse("up").matchers == ()


def test_matchers_are_parsed() -> None:
    found = parse("""cpu{ host="a\\"b", env!='dev', zone=~"eu-.*", rack!~"r[0-9]",}""")
    assert found.matchers == (
        Matcher("host", "=", 'a"b'),
        Matcher("env", "!=", "dev"),
        Matcher("zone", "=~", "eu-.*"),
        Matcher("rack", "!~", "r[0-9]"),
    )


def test_space_and_order_do_not_matter_but_case_does() -> None:
    assert parse('cpu{b="1",a="2"}').normalised() == parse(' cpu { a = "2" , b="1" }').normalised()
    assert parse('cpu{a="X"}').normalised() != parse('cpu{a="x"}').normalised()


@pytest.mark.parametrize(
    ("operator", "value", "tags", "accepted"),
    [
        ("=", "a", {"k": "a"}, True),
        ("=", "", {}, True),
        ("!=", "a", {}, True),
        ("=~", "a.*", {"k": "abc"}, True),
        ("=~", "b", {"k": "abc"}, False),
        ("!~", "a", {"k": "abc"}, True),
    ],
)
def test_matchers_mean_what_they_mean_in_prometheus(
    operator: str, value: str, tags: dict[str, str], accepted: bool
) -> None:
    matcher = parse(f'm{{k{operator}"{value}"}}').matchers[0]
    assert matcher.accepts(tags) is accepted


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("", 0),
        ("rate(cpu[5m])", 4),
        ("cpu{host}", 8),
        ('cpu{host="a"', 12),
        ('cpu{host="a" env="b"}', 13),
        ('cpu{host=~"["}', 10),
        ('cpu{host="\\x00"}', 9),
        ("cpu{host=`\0`}", 9),
        ('{"cpu\\ud800"}', 1),
        ('cpu{host=~"(?=a)"}', 10),
        ("1cpu", 0),
        ('{host="a"}', 10),
    ],
)
def test_what_can_not_be_parsed_is_refused_with_its_position(text: str, position: int) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse(text)
    assert caught.value.details is not None
    assert caught.value.details[0].position == position
    assert caught.value.details[0].hint


@given(st.text(max_size=60))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    try:
        parsed = parse(text)
    except InvalidRequest:
        return
    assert parse(parsed.normalised()).normalised() == parsed.normalised()


def test_a_pattern_may_have_any_number_of_plain_alternatives() -> None:
    hosts = [f"ip-10-0-{number}.eu-west-1" for number in range(300)]
    chosen = "|".join(host.replace(".", "\\\\.") for host in hosts)
    for written in (chosen, f"({chosen}):9100", f"({chosen}).*"):
        matcher = parse(f'cpu{{host=~"{written}"}}').matchers[0]
        assert matcher.accepts({"host": hosts[-1] + (":9100" if ":" in written else "")})
        assert not matcher.accepts({"host": "ip-10-0-1xeu-west-1"})


@pytest.mark.parametrize("pattern", [".*a" * 101, "(a|a)*b", "(a?){60}a{60}", "(a*)*"])
def test_no_pattern_is_refused_for_being_slow(pattern: str) -> None:
    assert not parse(f'cpu{{host=~"{pattern}"}}').matchers[0].accepts({"host": "a" * 500 + "c"})


def test_the_longest_alternation_of_a_query_is_compiled() -> None:
    hosts = [f"{number * 7919 % 10_000:04}.example" for number in range(1_400)]
    pattern = "|".join(hosts)
    assert len(pattern) > 18_000
    assert parse(f'cpu{{host=~"{pattern}"}}').matchers[0].accepts({"host": hosts[-1]})


def test_patterns_are_those_of_prometheus() -> None:
    assert Matcher("host", "=~", "a.b").accepts({"host": "a\nb"})
    assert not Matcher("host", "=~", "a|b").accepts({"host": "ab"})
    for refused in ("(?=a)", "(a)\\\\1", "[", "a{1001}"):
        with pytest.raises(InvalidRequest) as caught:
            parse(f'cpu{{host=~"{refused}"}}')
        assert "RE2" in str(caught.value.details)
