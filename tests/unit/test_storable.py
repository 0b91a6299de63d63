"""JSON that the database can't hold: found by its path, and replaced."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pulseboard.core import storable
from pulseboard.dashboards import document as dashboard_document

TREES = st.recursive(
    st.none() | st.floats() | st.integers() | st.text() | st.just("a\0b") | st.just("\ud800"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=3) | st.just("\0"), inner, max_size=3)
    ),
    max_leaves=10,
)


def test_each_is_named_by_its_path() -> None:
    tree: Any = json.loads(
        '{"a": [1e400, {"b": "x\\u0000y"}], "c\\u0000": NaN, "d": "\\ud800", "e": 1%s}'
        % ("0" * 400)
    )
    found = {storable.written(path): why for path, why in storable.problems(tree)}
    assert found == {
        "a.0": "is a number that is too large",
        "a.1.b": "holds a NUL",
        "c\ufffd": "holds a NUL",
        "d": "is not UTF-8",
        "e": "is a number that is too large",
    }
    storable.replace(tree)
    assert tree == {"a": [None, {"b": "x\ufffdy"}], "c\ufffd": None, "d": "\ufffd", "e": None}


@given(TREES)
def test_nothing_is_left_that_can_not_be_stored(tree: Any) -> None:
    whole = [tree]
    before = list(storable.problems(whole))
    assert storable.replace(whole) == before
    assert list(storable.problems(whole)) == []
    if not before:
        assert whole == [tree]


def test_a_file_says_in_which_panel() -> None:
    board = {
        "title": "B\0",
        "panels": [
            {"title": "Row", "panels": [{"title": "CPU", "max": float("inf")}]},
            {"title": "Disk", "gridPos": {"h": float("nan")}},
        ],
    }
    notes = dashboard_document.replace_unstorable(board)
    assert {(note.place, note.message) for note in notes} == {
        ("title", "holds a NUL: stored with \ufffd in its place"),
        (
            '"CPU": panels.0.panels.0.max',
            "is a number that is too large: left out",
        ),
        ('"Disk": panels.1.gridPos.h', "is no number: left out"),
    }
