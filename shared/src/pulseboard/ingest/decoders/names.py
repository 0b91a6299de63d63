"""Validates and converts the names of other systems: metric names, tag keys, tag values."""

import re
from collections.abc import Iterable
from functools import lru_cache

from pulseboard.contracts.vocabulary import MAX_TAG_VALUE

MAX_NAME = 200
MAX_KEY = 100
_NOT_IN_NAME = re.compile(r"[^a-zA-Z0-9_:.]")
_NOT_IN_KEY = re.compile(r"[^a-zA-Z0-9_.]")
_CONTROL = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
_GOOD_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:.]*")
_GOOD_KEY = re.compile(r"(?:[a-zA-Z][a-zA-Z0-9_.]*|_(?:[a-zA-Z0-9.][a-zA-Z0-9_.]*)?)")


def name_problem(name: str) -> str | None:
    """Why this is not a valid metric name, or None."""
    if not name:
        return "has no name"
    if len(name) > MAX_NAME:
        return f"has a name of {len(name)} characters; {MAX_NAME} are allowed"
    if not _GOOD_NAME.fullmatch(name):
        return f'has the name "{name[:100]}"; letters, digits, _ : and . are allowed'
    return None


def key_problem(key: str) -> str | None:
    """Why this is not a valid tag key, or None."""
    if len(key) > MAX_KEY:
        return f'has the tag "{key[:100]}…" of {len(key)} characters; {MAX_KEY} are allowed'
    if not _GOOD_KEY.fullmatch(key):
        return (
            f'has the tag "{key[:100]}"; letters, digits, _ and . are allowed, and a leading __ '
            "is reserved"
        )
    return None


def value_problem(key: str, value: str) -> str | None:
    """Why this is not a valid tag value, or None."""
    if len(value) > MAX_TAG_VALUE:
        return f'has a tag "{key}" of {len(value)} characters; {MAX_TAG_VALUE} are allowed'
    if _CONTROL.search(value):
        return f'has control characters in the tag "{key}"'
    return None


@lru_cache(maxsize=8192)
def metric_name(name: str) -> str:
    """A valid metric name: other characters become underscores; empty stays empty."""
    valid = _NOT_IN_NAME.sub("_", name)[:MAX_NAME]
    return f"_{valid}" if valid and (valid[0].isdigit() or valid[0] == ".") else valid


@lru_cache(maxsize=8192)
def tag_key(key: str) -> str:
    """A valid tag key: other characters become underscores; empty stays empty."""
    valid = _NOT_IN_KEY.sub("_", key)
    if valid.startswith("__"):
        valid = "_" + valid.lstrip("_")
    if valid and (valid[0].isdigit() or valid[0] == "."):
        valid = f"_{valid}"
    return valid[:MAX_KEY]


def tag_value(value: str) -> str:
    """A tag value without control characters, cut to the allowed length."""
    return (
        _CONTROL.sub(" ", value)[:MAX_TAG_VALUE]
        if _CONTROL.search(value)
        else (value[:MAX_TAG_VALUE])
    )


def tags_from(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Tags from the keys and values of another system; values of one key are joined by commas."""
    tags: dict[str, str] = {}
    for key, value in pairs:
        name = tag_key(key)
        if not name:
            continue
        clean = tag_value(value)
        known = tags.get(name)
        if known is None or known == clean:
            tags[name] = clean
        else:
            tags[name] = ",".join(sorted({*known.split(","), clean}))[:MAX_TAG_VALUE]
    return tags
