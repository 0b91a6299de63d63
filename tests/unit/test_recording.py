"""Recording rules without I/O: when they are due, in which order, and what they write."""

import math
from typing import Any
from uuid import UUID

import pytest

from pulseboard.alerts.recording import RecordingSnapshot, metrics_of, output, stages
from pulseboard.core.exceptions import InvalidRequest


def make(number: int, name: str, query: str, **fields: Any) -> RecordingSnapshot:
    return RecordingSnapshot(UUID(int=number), name, query, **{"interval": 60.0, **fields})


@pytest.mark.parametrize(
    ("interval", "expected"),
    [
        (10.0, [0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100]),
        (30.0, [0, 30, 60, 90]),
        # Not a multiple of the tick: the first tick at or after each multiple.
        (15.0, [0, 20, 30, 50, 60, 80, 90]),
        (60.0, [0, 60]),
    ],
)
def test_a_rule_is_due_at_the_first_tick_after_a_multiple_of_its_interval(
    interval: float, expected: list[int]
) -> None:
    rule = make(1, "a", "b", interval=interval)
    assert [at for at in range(0, 101, 10) if rule.due(at)] == expected


def test_rules_are_in_stages_by_what_they_read_of_their_group() -> None:
    rules = [
        make(1, "a", "cpu", group="g"),
        make(2, "b", "sum(a)", group="g"),
        make(3, "c", "cpu * 2", group="g"),
        make(4, "d", "b / c", group="g"),
        # Of another group: what it reads there is of the time before, or not.
        make(5, "e", "d", group="h"),
        # By a pattern it may read everything before it.
        make(6, "f", 'count({__name__=~".+"})', group="g"),
        # What it reads comes later.
        make(7, "z", "y", group="i"),
        make(8, "y", "cpu", group="i"),
    ]
    found = [[rule.name for rule in stage] for stage in stages(rules)]
    assert found == [["a", "c", "e", "z", "y"], ["b"], ["d"], ["f"]]
    assert stages([]) == []


def test_what_is_written_has_the_labels_of_the_rule_and_no_nan() -> None:
    rule = make(1, "a:b", "cpu", labels={"team": "x", "pod": ""})
    observed = [
        ("1", {"host": "a", "pod": "p"}, 1.0),
        ("2", {"host": "b"}, math.nan),
        ("3", {"host": "c"}, None),
        ("4", {"host": "d"}, math.inf),
    ]
    known: dict[str, Any] = {}
    found = output(rule, observed, known, most_tags=8)
    assert [(key.name, key.tags, value) for key, value in zip(*_columns(found), strict=True)] == [
        ("a:b", b'{"host":"a","team":"x"}', 1.0),
        ("a:b", b'{"host":"d","team":"x"}', math.inf),
    ]
    # The next time the key is the same object, which has its series id noted.
    assert output(rule, observed, known, most_tags=8).keys[0] is found.keys[0]


def _columns(found: Any) -> tuple[Any, Any]:
    return found.keys, found.values


def test_series_that_get_the_same_labels_or_are_too_many_are_an_error() -> None:
    observed = [("1", {"host": "a"}, 1.0), ("2", {"host": "b"}, 2.0)]
    with pytest.raises(InvalidRequest, match="same labels"):
        output(make(1, "a", "b", labels={"host": ""}), observed, {}, most_tags=8)
    with pytest.raises(InvalidRequest, match="its group allows 1"):
        output(make(1, "a", "b", limit=1), observed, {}, most_tags=8)
    with pytest.raises(InvalidRequest, match="has 2 labels"):
        output(make(1, "a", "b", labels={"c": "d"}), observed, {}, most_tags=1)


def test_the_metrics_of_a_query() -> None:
    assert metrics_of("a / on (x) :b:c") == frozenset({"a", ":b:c"})
    assert metrics_of('{__name__=~"a.*"}') is None
    assert metrics_of("1 + time()") == frozenset()
