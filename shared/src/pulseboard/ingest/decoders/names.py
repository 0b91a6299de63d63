"""Checks the names of other systems: metric names, tag keys, tag values.

They are stored as they were sent: any UTF-8, in queries in quotes. Nothing is repaired or cut, so
that two names never become one. What can't be stored is refused with its series, by name. Decoders
read text that is not UTF-8 by `surrogateescape`, so that it is found here and not where it would
take the whole request with it.
"""

import re
from collections.abc import Iterable, Mapping

from pulseboard.catalogue.series_key import NAME
from pulseboard.contracts.vocabulary import MAX_NAME, MAX_TAG_KEY, MAX_TAG_VALUE

_SURROGATE = re.compile("[\ud800-\udfff]")
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_SHOWN = 100


def shown(text: str, length: int = _SHOWN) -> str:
    """A text for a message: what is not UTF-8 becomes `?`, control characters a space."""
    return re.sub(r"[\x00-\x1f\x7f]", " ", _SURROGATE.sub("?", text[:length]))


def name_problem(name: str) -> str | None:
    """Why this is not a valid metric name, or None."""
    if not name:
        return "has no name"
    if len(name) > MAX_NAME:
        return f"has a name of {len(name)} characters; {MAX_NAME} are allowed"
    if why := _unstorable(name):
        return f'has the name "{shown(name)}", which {why}'
    return None


def key_problem(key: str) -> str | None:
    """Why this is not a valid tag key, or None."""
    if not key:
        return "has a tag without a key"
    if len(key) > MAX_TAG_KEY:
        return f'has the tag "{shown(key)}…" of {len(key)} characters; {MAX_TAG_KEY} are allowed'
    if key == NAME:
        return f'has the tag "{NAME}", which is reserved for the metric\'s name'
    if why := _unstorable(key):
        return f'has the tag "{shown(key)}", which {why}'
    return None


def value_problem(key: str, value: str) -> str | None:
    """Why this is not a valid tag value, or None."""
    if len(value) > MAX_TAG_VALUE:
        return f'has a tag "{shown(key)}" of {len(value)} characters; {MAX_TAG_VALUE} are allowed'
    if why := _unstorable(value):
        return f'has the tag "{shown(key)}", whose value {why}'
    return None


def tags_problem(tags: Mapping[str, str], most: int) -> str | None:
    """Why these are not valid tags of one series, or None."""
    if len(tags) > most:
        return f"has {len(tags)} tags; a point may have at most {most}"
    for key, value in tags.items():
        if problem := key_problem(key) or value_problem(key, value):
            return problem
    return None


def tags_from(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Tags, not checked; several values of one key are joined by commas, in order of text."""
    tags: dict[str, str] = {}
    several: dict[str, set[str]] = {}
    for key, value in pairs:
        known = tags.setdefault(key, value)
        if known != value or key in several:
            several.setdefault(key, {known}).add(value)
    for key, values in several.items():
        tags[key] = ",".join(sorted(values))
    return tags


def surrogates_as_bytes(text: str) -> str:
    """A text that can be encoded: bytes that are not UTF-8 become `\\xff`, as two never meet."""
    return text.encode(errors="surrogatepass").decode(errors="backslashreplace")


def metadata_text(text: str) -> str:
    """A unit or description, which refuses nothing: what can't be stored becomes `?`."""
    return _UNSTORABLE.sub("?", text)[:MAX_TAG_VALUE]


def _unstorable(text: str) -> str | None:
    if _UNSTORABLE.search(text):
        return "holds a NUL" if "\0" in text else "is not UTF-8"
    return None
