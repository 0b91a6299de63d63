"""Incoming samples, as the agent sends them and the API documents them.

The functions read these bodies without building an object a point (ingest/decoders/json_points.py).
"""

from pydantic import Field

from pulseboard.contracts.base import Contract
from pulseboard.contracts.vocabulary import (
    MAX_TAG_VALUE,
    MAX_UNIT,
    MetricName,
    MetricType,
    PointTags,
)


class MetricPoint(Contract):
    """One sample: metric, value, time and tags."""

    name: MetricName = Field(examples=["cpu_usage", "system.load.1"])
    value: float = Field(allow_inf_nan=False)
    tags: PointTags = Field(default_factory=dict, examples=[{"host": "web-1"}])
    timestamp: int | None = Field(
        default=None,
        gt=0,
        strict=True,
        description="Milliseconds since 1970 (UTC). Left out: the time of arrival.",
    )
    type: MetricType | None = Field(
        default=None,
        description="Of the metric, as `unit` and `description`: one point of it is enough, and "
        "what is left out stays as it is.",
    )
    unit: str | None = Field(default=None, max_length=MAX_UNIT, examples=["By", "s", "%"])
    description: str | None = Field(default=None, max_length=MAX_TAG_VALUE)


class MetricBatch(Contract):
    """Several samples in one request."""

    points: list[MetricPoint] = Field(min_length=1)


IngestBody = MetricPoint | list[MetricPoint] | MetricBatch
