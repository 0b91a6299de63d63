"""Types that several contracts share: names, texts and choices.

No model is among them, so that a function that needs a word builds no models of others: they are
a good part of a cold start.
"""

import re
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

NAME = "__name__"
"""The label that holds the metric's name, in expressions and in Prometheus' protocols."""
METRIC_NAME_PATTERN = r"^[a-zA-Z_:][a-zA-Z0-9_:.]*$"
TAG_KEY_PATTERN = r"^[a-zA-Z_][a-zA-Z0-9_.]*$"
MAX_TAGS = 64
MAX_NAME = 200
MAX_TAG_KEY = 100
MAX_TAG_VALUE = 1024
MAX_UNIT = 100
_SURROGATE = re.compile("[\ud800-\udfff]")
_UNSTORABLE = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
_UNREADABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


def _storable(text: str) -> str:
    if _UNSTORABLE.search(text):
        raise ValueError("control characters are not allowed")
    return text


def replace_unreadable(text: str) -> str:
    """A text from outside with U+FFFD for what can't be stored or read: NUL, which PostgreSQL
    refuses, lone surrogates, which are no UTF-8, and control characters apart from white space.
    """
    return _UNREADABLE.sub("\ufffd", text)


def _readable(value: object) -> object:
    return replace_unreadable(value) if isinstance(value, str) else value


def _text(text: str) -> str:
    if "\0" in text or _SURROGATE.search(text):
        raise ValueError("NUL and what is no UTF-8 are not allowed")
    return text


def _key(key: str) -> str:
    if not key:
        raise ValueError("a tag key is missing")
    return _text(key)


def _not_reserved(key: str) -> str:
    if key.startswith("__"):
        raise ValueError("tag keys that begin with __ are reserved")
    return key


MetricName = Annotated[str, StringConstraints(pattern=METRIC_NAME_PATTERN, max_length=200)]
PointTagKey = Annotated[
    str,
    StringConstraints(pattern=TAG_KEY_PATTERN, max_length=MAX_TAG_KEY),
    AfterValidator(_not_reserved),
]
TagValue = Annotated[str, StringConstraints(max_length=MAX_TAG_VALUE), AfterValidator(_storable)]
PointTags = Annotated[dict[PointTagKey, TagValue], Field(max_length=MAX_TAGS)]
"""Tags as our own JSON accepts them, and as labels of rules have them."""
TagKey = Annotated[str, StringConstraints(max_length=MAX_TAG_KEY), AfterValidator(_key)]
"""A tag key in a query: any that a protocol can have stored."""
ForeignText = Annotated[str, BeforeValidator(_readable)]
"""A text that others wrote, such as a receiver's response: it can always be stored."""
AnyTagValue = Annotated[str, StringConstraints(max_length=MAX_TAG_VALUE), AfterValidator(_text)]
Tags = Annotated[dict[TagKey, AnyTagValue], Field(max_length=MAX_TAGS)]
Title = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
PanelTitle = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)]
"""Empty: the panel has no head."""
GroupName = Annotated[str, StringConstraints(max_length=200)]
"""A group of rules; empty: none."""
Position = Annotated[int, Field(ge=0, le=1_000_000)]
"""The place of a rule in its group."""
QueryText = Annotated[str, StringConstraints(min_length=1, max_length=5000)]
"""A stored query: of a panel or a rule."""


class MetricType(StrEnum):
    """How a metric behaves, as its sender declared it."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"
    SUMMARY = "summary"
    UNKNOWN = "unknown"


class Aggregation(StrEnum):
    """How samples become one value, in a bucket and across series.

    `none`: no buckets; each point is the newest sample, as in PromQL.
    """

    NONE = "none"
    AVG = "avg"
    MIN = "min"
    MAX = "max"
    SUM = "sum"
    COUNT = "count"
    LAST = "last"


class Tier(StrEnum):
    """The three tables that hold samples, finest first."""

    RAW = "raw"
    MINUTE = "1min"
    HOUR = "1hour"


class QueryPhase(StrEnum):
    """The parts of the execution of a query, in order."""

    PLAN = "plan"
    CACHE = "cache"
    SERIES = "series"
    READ = "read"
    EVALUATE = "evaluate"
    MERGE = "merge"


class Role(StrEnum):
    """What a user may do: viewers read, editors also write, admins also manage users."""

    VIEWER = "viewer"
    EDITOR = "editor"
    ADMIN = "admin"


class Scope(StrEnum):
    """What an API key may do."""

    INGEST = "ingest"
    READ = "read"
    WRITE = "write"
