"""Types that several contracts share: names, texts and choices.

No model is among them, so that a function that needs a word builds no models of others: they are
a good part of a cold start.
"""

import re
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

METRIC_NAME_PATTERN = r"^[a-zA-Z_:][a-zA-Z0-9_:.]*$"
TAG_KEY_PATTERN = r"^[a-zA-Z_][a-zA-Z0-9_.]*$"
MAX_TAGS = 64
MAX_TAG_VALUE = 1024
_UNSTORABLE = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")


def _storable(text: str) -> str:
    if _UNSTORABLE.search(text):
        raise ValueError("control characters are not allowed")
    return text


def _not_reserved(key: str) -> str:
    if key.startswith("__"):
        raise ValueError("tag keys that begin with __ are reserved")
    return key


MetricName = Annotated[str, StringConstraints(pattern=METRIC_NAME_PATTERN, max_length=200)]
TagKey = Annotated[
    str,
    StringConstraints(pattern=TAG_KEY_PATTERN, max_length=100),
    AfterValidator(_not_reserved),
]
TagValue = Annotated[str, StringConstraints(max_length=MAX_TAG_VALUE), AfterValidator(_storable)]
Tags = Annotated[dict[TagKey, TagValue], Field(max_length=MAX_TAGS)]
Title = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
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
