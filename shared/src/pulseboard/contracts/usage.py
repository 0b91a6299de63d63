"""What is stored, who sends it, and what it is likely to cost."""

from enum import StrEnum
from uuid import UUID

from pydantic import Field

from pulseboard.contracts.base import Contract, UtcTime
from pulseboard.contracts.metrics import TagValueInfo


class RefusedReason(Contract):
    """Why something that one API key sent was refused."""

    reason: str = Field(description="What was wrong; names and numbers are left out as `…`.")
    count: int = Field(ge=0, description="How many samples, or requests, in the last day.")
    example: str = Field(description="The last message in full, with the name.")
    last_at: UtcTime = Field(description="When the last one came; up to a second late.")


class KeyReceived(Contract):
    """What was received with one API key; shows whether a new agent works.

    Counted when it arrives, up to a second late, and kept in the cache for a day.
    """

    last_used_at: UtcTime | None = Field(
        default=None, description="When the key was last used; written at most once a minute."
    )
    series_count: int = Field(
        ge=0,
        description="Series it sent last, counted up to 1000. A series that another key has sent "
        "since belongs to that one.",
    )
    metrics: list[str] = Field(description="Metrics it sent last, up to 20, by name.")
    recent_samples: int = Field(
        ge=0, description="Samples that it sent in the last 15 minutes and that were stored."
    )
    newest_sample_at: UtcTime | None = Field(
        default=None, description="Time of the newest sample that it sent."
    )
    counted: bool = Field(
        default=True,
        description="Whether the cache answered; if not, the numbers are those of `seriesCount`'s "
        "newest 200 series, and nothing is known of refusals.",
    )
    day_samples: int | None = Field(
        default=None, ge=0, description="Samples of the last day that were stored; null: unknown."
    )
    day_refused: int | None = Field(
        default=None,
        ge=0,
        description="Samples and whole requests of the last day that were refused; null: unknown.",
    )
    refused: list[RefusedReason] = Field(
        default_factory=list, description="Why, the last reason first."
    )


class Amounts(Contract):
    """An amount of stored data, up to a minute old."""

    series_count: int = Field(ge=0)
    new_last_hour: int = Field(ge=0, description="Series created in the last hour.")
    new_last_day: int = Field(ge=0)
    samples_per_second: float | None = Field(
        default=None, description="Of the last five minutes that are rolled up; null when unknown."
    )
    monthly_dollars: float = Field(
        ge=0,
        description="The costs that grow with the data, at the current rate: requests, functions "
        "and storage, without fixed costs.",
    )


class MetricUsage(Amounts):
    """One metric."""

    name: str
    last_seen: UtcTime | None = None


class KeyUsage(Amounts):
    """The series that one API key sent last; without an id: Pulseboard itself and users."""

    id: UUID | None = None
    name: str
    revoked: bool = False
    new_last_minute: int = Field(ge=0)


class UsageLimits(Contract):
    """The limits on series, from the settings."""

    per_metric: int
    per_key: int
    new_per_minute: int = Field(description="Series one key may add in a minute.")


class UsagePrices(Contract):
    """The prices of the estimate, in dollars."""

    million_samples: float
    thousand_series: float


class UsageOverview(Contract):
    """All stored data by API key; non-admins see the keys of others as one entry."""

    total: Amounts
    metrics_count: int = Field(ge=0)
    keys: list[KeyUsage]
    limits: UsageLimits
    prices: UsagePrices
    deleting: int = Field(ge=0, description="Deleted series whose samples are still to be removed.")
    as_of: UtcTime


class MetricOrder(StrEnum):
    """The order of metrics: amounts with the largest first, names and ages ascending."""

    SERIES = "series"
    NEW_HOUR = "newHour"
    NEW_DAY = "newDay"
    SAMPLES = "samples"
    COST = "cost"
    NAME = "name"
    LAST_SEEN = "lastSeen"


class TagUsage(Contract):
    """A tag key with its share in the number of series."""

    key: str
    value_count: int = Field(ge=0, description="Different values.")
    series_count: int = Field(ge=0, description="Series that have it.")
    values: list[TagValueInfo] = Field(description="The most used values, up to ten.")


class MetricDetail(Contract):
    """One metric and the tags that distinguish its series."""

    usage: MetricUsage
    tags: list[TagUsage]


class SeriesUsage(Contract):
    """One series."""

    tags: dict[str, str]
    created_at: UtcTime
    last_seen: UtcTime = Field(description="Written at most every five minutes.")


class SeriesOrder(StrEnum):
    """The order of series."""

    NEWEST = "newest"
    STALEST = "stalest"


class DeletedSeries(Contract):
    """What was deleted, or would be deleted."""

    series_count: int = Field(ge=0)
    examples: list[dict[str, str]] = Field(description="Tags of some of them, up to five.")
    metric_deleted: bool = Field(description="Whether the metric itself is deleted too.")
    dry_run: bool
