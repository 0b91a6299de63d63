"""Messages and labels of rules, filled as Prometheus fills them."""

import pytest

from pulseboard.core.text_templates import (
    MAX_RENDERED,
    TemplateData,
    format_go,
    problems_of,
    render,
)

DATA = TemplateData(
    123456789.0,
    {"host": "a.b:90", "k8s.pod": "p", "title": "t"},
    {"value": "1.23457e+08"},
    "https://x",
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{host}} {{ $labels.host }} {{ .Labels.host }} {{title}}", "a.b:90 a.b:90 a.b:90 t"),
        ('{{ $labels.k8s.pod }}{{ index $labels "k8s.pod" }}', "pp"),
        ("{{value}} {{ $value }} {{ .Value }}", "1.23457e+08 1.23456789e+08 1.23456789e+08"),
        ("<{{nobody}}{{ $labels.nobody }}>", "<>"),
        ("a {{- 1 -}} b {{/* comment */}}c", "a1b c"),
        ("{{ $value | humanize }} {{ humanize 0 }} {{ humanize -0.00012 }}", "123.5M 0 -120u"),
        ("{{ humanize1024 2048 }} {{ 1.5e12 | humanize1024 }}", "2ki 1.364Ti"),
        ('{{ "0.5" | humanizePercentage }} {{ 1 | humanizePercentage }}', "50% 100%"),
        (
            "{{ humanizeDuration 90061.5 }}, {{ humanizeDuration 59.123456 }}, "
            "{{ humanizeDuration 0.0001 }}, {{ -90.5 | humanizeDuration }}",
            "1d 1h 1m 1s, 59.12s, 100us, -1m 30s",
        ),
        (f"{{{{ humanize {'9' * 400} }}}} {{{{ humanize1024 -{'9' * 400} }}}}", "+Inf -Inf"),
        ("{{ 1435065584.128 | humanizeTimestamp }}", "2015-06-23 13:19:44.128 +0000 UTC"),
        ('{{ printf "%.2f%%" $value }}', "123456789.00%"),
        ('{{ $value | printf "%5.1f" | printf "[%s]" }}', "[123456789.0]"),
        ('{{ printf "%5s|%-5s|%05.1f|%d" "a" "b" 3.14159 3 }}', "    a|b    |003.1|3"),
        ('{{ printf "%s %d %.1f %v" $value "x" 3 }}', None),
        ('{{ print $value " " 1 "a" }}', "1.23456789e+08 1a"),
        ('{{ "hello wOrld x_y" | title }} {{ toUpper "a" }}', "Hello WOrld X_y A"),
        (r'{{ reReplaceAll "(a)\\.(.*)" "$2-${1}" $labels.host }}', "b:90-a"),
        (r"{{ reReplaceAll `(?P<n>\w+)\.` `${n}$x` .Labels.host }}", "ab:90"),
        ("{{ stripPort $labels.host }} {{ stripDomain $labels.host }}", "a.b a:90"),
        ("{{ (printf `%.0f` $value) | toUpper }}", "123456789"),
        ("{{ humanize `abc` }}", "<error: humanize: 'abc' is no number>"),
        ("{{ $externalURL }}", "https://x"),
    ],
)
def test_a_placeholder_is_what_go_makes_of_it(text: str, expected: str | None) -> None:
    wrong = "%!s(float64=1.23456789e+08) %!d(string=x) %!f(int=3) %!v(MISSING)"
    assert render(text, DATA) == (wrong if expected is None else expected)
    assert problems_of(text) == ()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *((0.0, "0"), (5.0, "5"), (95.5, "95.5"), (100000.0, "100000"), (1e6, "1e+06")),
        *((0.0001, "0.0001"), (1e-5, "1e-05"), (-1234567.5, "-1.2345675e+06")),
        *((float("inf"), "+Inf"), (float("-inf"), "-Inf"), (float("nan"), "NaN")),
    ],
)
def test_numbers_are_as_short_as_in_go(value: float, text: str) -> None:
    assert format_go(value) == text


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("{{ if gt $value 1.0 }}", "if is not supported"),
        ("{{ else }}", "else is not supported"),
        ('{{ range query "up" }}', "range is not supported"),
        ('{{ query "up" | first | value }}', "query is not supported"),
        ("{{ $x }}", "$x is not known"),
        ("{{ $value | }}", "a value is missing"),
        ("{{ }}", "a value is missing"),
        ("{{ (1 }}", "parenthesis"),
        ("{{ 1 2 }}", "a function is missing"),
        ("{{ host }", "}} is missing"),
        ('{{ title "a }}', "}} is missing"),
        ("{{ host := 1 }}", "':' is not expected"),
        ('{{ printf "%99999999d" 1 }}', "too wide"),
        ('{{ printf "a %-0100s" "a" }}', "too wide"),
        ('{{ $value | printf "%.99999999f" }}', "too wide"),
        ('{{ humanize (printf "%5.99999999s" "1") }}', "too wide"),
        ('{{ printf "%*d" 99999999 1 }}', "%*d is not supported"),
        ('{{ printf "%.*f" 99999999 $value }}', "%.*f is not supported"),
    ],
)
def test_what_is_not_supported_is_named_and_stays(text: str, word: str) -> None:
    (problem,) = problems_of(text)
    assert word in problem
    assert render(text, DATA) == text


def test_without_data_it_says_so() -> None:
    data = TemplateData(None, {}, {"value": "no data"})
    assert render('{{ $value | humanize }}, {{ printf "%.2f" $value }}', data) == "no data, no data"


def test_no_template_grows_without_bound() -> None:
    text = "{{ `" + "a" * 1000 + "` " + "| reReplaceAll `.` `$0$0$0$0` " * 30 + "}}"
    assert "too long" in render(text, DATA)
    assert len(render("{{host}}" * 20_000, DATA)) == MAX_RENDERED
    widths = TemplateData(1.0, {"a": "%99999999f", "b": "%" + "9" * 5_000 + "f", "c": "%.*f"})
    for name in "abc":
        # What the text of a tag asks for is known only here.
        shown = render(f"{{{{ printf $labels.{name} $value }}}}", widths)
        assert shown.startswith("<error: printf: %")
        assert len(shown) < 100
    assert render('{{ printf "%99d|%099d|%.99f" 1 2 $value }}', DATA).count("|") == 2
    assert problems_of("{{ " + "(" * 500 + "1" + ")" * 500 + " }}")
