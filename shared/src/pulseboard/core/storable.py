"""What JSON can hold and the database can't: NULs, half surrogates, numbers beyond a double."""

import re
from collections.abc import Iterator
from math import isfinite
from typing import Any

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_LARGEST = 1 << 1023
Path = tuple[str | int, ...]


def problems(tree: Any) -> Iterator[tuple[Path, str]]:
    """Where a parsed JSON has such values, and what they are; the path of a key ends with it."""
    for path, value, _, _ in _found(tree):
        yield path, _what(value)


def replace(tree: Any) -> list[tuple[Path, str]]:
    """Replace them in place: characters by U+FFFD, numbers by null. Returns as `problems`."""
    done: list[tuple[Path, str]] = []
    for path, value, holder, key in list(_found(tree)):
        done.append((path, _what(value)))
        if isinstance(holder, dict) and value is key:
            holder[_clean(value)] = holder.pop(key)
        elif isinstance(value, str):
            holder[key] = _clean(value)
        else:
            holder[key] = None
    return done


def written(path: Path) -> str:
    """A path as errors name fields: `panels.3.title`."""
    return ".".join(_clean(str(part)) for part in path)


def _clean(text: str) -> str:
    return _UNSTORABLE.sub("\ufffd", text)


def _what(value: Any) -> str:
    if isinstance(value, str):
        return "holds a NUL" if "\0" in value else "is not UTF-8"
    return "is no number" if value != value else "is a number that is too large"


def _is_unstorable(value: Any) -> bool:
    if isinstance(value, str):
        return _UNSTORABLE.search(value) is not None
    if isinstance(value, float):
        return not isfinite(value)
    return isinstance(value, int) and abs(value) >= _LARGEST


def _found(tree: Any) -> Iterator[tuple[Path, Any, Any, Any]]:
    """Path, value, and the object or array that has it under a key; for a bad key, the key itself.

    What an object holds comes before its keys, so that they can be replaced one after the other.
    """
    left: list[tuple[Path, Any]] = [((), tree)]
    keys: list[tuple[Path, Any, Any, Any]] = []
    while left:
        path, holder = left.pop()
        if isinstance(holder, dict):
            items: list[tuple[Any, Any]] = list(holder.items())
            keys += (((*path, key), key, holder, key) for key in holder if _is_unstorable(key))
        elif isinstance(holder, list):
            items = list(enumerate(holder))
        else:
            continue
        for key, value in items:
            if isinstance(value, dict | list):
                left.append(((*path, key), value))
            elif _is_unstorable(value):
                yield (*path, key), value, holder, key
    yield from reversed(keys)
