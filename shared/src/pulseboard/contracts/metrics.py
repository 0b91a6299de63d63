"""The catalogue: metrics and their tags."""

from pydantic import Field

from pulseboard.contracts.base import Contract, UtcTime
from pulseboard.contracts.vocabulary import MetricType


class MetricInfo(Contract):
    """One metric of the catalogue."""

    name: str
    description: str | None = None
    unit: str | None = None
    type: MetricType = MetricType.UNKNOWN
    series_count: int = Field(ge=0)
    last_seen: UtcTime | None = None


class TagValueInfo(Contract):
    """A tag value with the number of series that have it."""

    value: str
    series_count: int = Field(ge=0)


class TagInfo(Contract):
    """A tag key of a metric, with its values, most used first."""

    key: str
    series_count: int = Field(ge=0)
    values: list[TagValueInfo]
    truncated: bool = Field(
        default=False, description="True when there are more values than were requested."
    )
