"""Metrics on their way in, and the catalogue of what has been seen."""

import re
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from pulseboard.contracts.base import Contract, UtcTime

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


class MetricType(StrEnum):
    """How a metric behaves, as its sender declared it."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"
    SUMMARY = "summary"
    UNKNOWN = "unknown"


class MetricPoint(Contract):
    """One sample: what was measured, when, and on what."""

    name: MetricName = Field(examples=["cpu_usage", "system.load.1"])
    value: float = Field(allow_inf_nan=False)
    tags: Tags = Field(default_factory=dict, examples=[{"host": "web-1"}])
    timestamp: int | None = Field(
        default=None,
        gt=0,
        strict=True,
        description="Milliseconds since 1970 (UTC). Left out: the time of arrival.",
    )


class MetricBatch(Contract):
    """Several samples in one request."""

    points: list[MetricPoint] = Field(min_length=1)


IngestBody = MetricPoint | list[MetricPoint] | MetricBatch


class IngestIssue(Contract):
    """A sample that was refused, by its place in the batch."""

    index: int = Field(ge=0)
    field: str
    message: str


class IngestResult(Contract):
    """What became of a batch. `errors` holds the first 100."""

    accepted: int = Field(ge=0)
    rejected: int = Field(ge=0)
    errors: list[IngestIssue] = Field(default_factory=list)


class MetricInfo(Contract):
    """One metric of the catalogue."""

    name: str
    description: str | None = None
    unit: str | None = None
    type: MetricType = MetricType.UNKNOWN
    series_count: int = Field(ge=0)
    last_seen: UtcTime | None = None


class TagValueInfo(Contract):
    """A tag value with the number of series that carry it."""

    value: str
    series_count: int = Field(ge=0)


class TagInfo(Contract):
    """A tag key of a metric, with its values, most used first."""

    key: str
    series_count: int = Field(ge=0)
    values: list[TagValueInfo]
    truncated: bool = Field(
        default=False, description="True when there are more values than were asked for."
    )
