"""Queries of time series, and their columnar results."""

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from pulseboard.contracts.base import Contract, PositiveInterval, UtcTime, start_before_end
from pulseboard.contracts.errors import ApiError
from pulseboard.contracts.vocabulary import Aggregation, QueryPhase, TagKey, Tags, Tier

QueryInput = Annotated[str, StringConstraints(min_length=1, max_length=20_000)]
"""The text of a query; it may hold hundreds of selected values of a dashboard variable."""


class QueryFilter(Contract):
    """A matcher that is added to each selector of a query."""

    key: TagKey
    operator: Literal["=", "!=", "=~", "!~"] = "="
    value: Annotated[str, StringConstraints(max_length=5000)]


class QueryFields(Contract):
    """What to read, without the time range."""

    query: QueryInput = Field(
        description="A metric name, optionally with tags, or an expression in "
        "PromQL. Each point looks back from its time; with `aggregation` or `groupBy`, the "
        "samples of a metric are bucketed instead. `$__interval` is the step, `$__rate_interval` "
        "a window for `rate` that always holds samples: four intervals of the metric, at least "
        "the step.",
        examples=["cpu_usage", 'cpu_usage{host="web-1"}', "sum by (host) (rate(requests[5m]))"],
    )
    aggregation: Aggregation = Field(
        default=Aggregation.NONE,
        description="Left out: the newest sample at each point; with `groupBy`, avg.",
    )
    step: PositiveInterval | None = Field(
        default=None,
        description="Seconds between two points. Left out: chosen from `maxPoints`. Buckets are "
        "never narrower than the interval at which the metric is sent.",
    )
    min_step: PositiveInterval | None = Field(
        default=None, description="The least step to choose when `step` is left out."
    )
    tags: Tags = Field(default_factory=dict, description="Only series that have all of these.")
    filters: list[QueryFilter] = Field(
        default_factory=list, max_length=50, description="Only series that all of these accept."
    )
    group_by: list[TagKey] | None = Field(
        default=None,
        max_length=16,
        description="Tag keys to group series by: left out, one line a series; "
        "an empty list, one line in all.",
    )
    max_points: int = Field(default=500, ge=1, le=11_000)
    timezone: str | None = Field(
        default=None,
        min_length=1,
        max_length=100,
        description="IANA name. Steps of whole days are then days of this zone, of 23 or 25 hours "
        "where its clocks are changed, and weeks begin on Mondays. Left out: whole multiples of "
        "the step since 1970, in UTC.",
        examples=["Europe/Berlin"],
    )
    explain: bool = Field(
        default=False,
        description="Say in `meta.explain` what was read, what the database computed, what came "
        "from the cache, and how long each part took.",
    )


class QueryParams(QueryFields):
    """A query over the time between `start` (inclusive) and `end` (exclusive)."""

    start: UtcTime
    end: UtcTime
    tier: Tier | None = Field(
        default=None, description="Read this tier and no other. Left out: chosen from the range."
    )

    _start_before_end = model_validator(mode="after")(start_before_end)


class BatchQuery(QueryFields):
    """One query of a batch; `id` is returned with its result."""

    id: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    start: UtcTime | None = Field(default=None, description="Left out: the batch's.")
    end: UtcTime | None = Field(default=None, description="Left out: the batch's.")

    @model_validator(mode="after")
    def _whole_range(self) -> Self:
        if (self.start is None) != (self.end is None):
            raise ValueError("give start and end, or neither")
        if self.start is not None and self.end is not None and self.start >= self.end:
            raise ValueError("start must be before end")
        return self


class QueryBatch(Contract):
    """All queries of a dashboard over one time range."""

    start: UtcTime
    end: UtcTime
    queries: list[BatchQuery] = Field(min_length=1, max_length=1000)

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if self.start >= self.end:
            raise ValueError("start must be before end")
        ids = [query.id for query in self.queries]
        if len(set(ids)) != len(ids):
            raise ValueError("each query of a batch needs an id of its own")
        return self


class SeriesData(Contract):
    """One line: `values` has one entry for each timestamp of the result; null: no value."""

    name: str = Field(
        description="The metric; empty for a computed line with tags, the expression without."
    )
    tags: dict[str, str]
    values: list[float | None]


class QueryData(Contract):
    """Columnar: `timestamps` (ms since 1970) serve all series: the start of each bucket, or the
    times at which an expression was evaluated."""

    timestamps: list[int]
    series: list[SeriesData]


class ExplainedRead(Contract):
    """One read of samples from the database."""

    selector: str = Field(examples=['requests{service="web"}[5m]'])
    table: str = Field(examples=["metrics_raw"])
    start: int = Field(description="Milliseconds since 1970.")
    end: int = Field(description="Milliseconds since 1970.")
    series: int = Field(ge=0, description="How many series of the catalogue were read.")
    rows: int = Field(ge=0, description="How many rows of the table were read.")
    pushed_down: str = Field(
        description="What the database computed of them; empty: nothing, each row was fetched.",
        examples=["avg in buckets of 1m"],
    )
    shared: bool = Field(description="Read for another query of the batch, and used again.")
    duration_ms: float = Field(ge=0)


class ExplainedTime(Contract):
    """How long a part of the execution took. Of a batch, `cache` and `series` are in part those of
    all its queries: these are looked up together."""

    phase: QueryPhase
    duration_ms: float = Field(ge=0)


class QueryExplain(Contract):
    """How a query was executed."""

    tier: Tier
    step: str = Field(examples=["10s"])
    evaluated: str = Field(
        description="What was computed: the expression with its windows as the tier allows them."
    )
    points: int = Field(ge=0, description="Points of each line.")
    points_cached: int = Field(ge=0, description="How many of them came from the cache.")
    reads: list[ExplainedRead] = Field(description="None: all came from the cache.")
    times: list[ExplainedTime]


class QueryMeta(Contract):
    """Where a result came from and what it cost."""

    table: str = Field(examples=["metrics_raw", "metrics_1min", "metrics_1hour"])
    resolution: str = Field(description="Width of a bucket.", examples=["10s"])
    cached: bool = Field(description="Nothing was read from the database.")
    rows_read: int = Field(
        default=0,
        ge=0,
        description="Rows of the table that were read for this result; the rest was cached.",
    )
    duration_ms: float = Field(default=0, ge=0)
    notes: list[str] = Field(
        default_factory=list, description="Notes on the values, such as a window that was widened."
    )
    explain: QueryExplain | None = Field(default=None, description="With `explain` only.")


class QueryResult(Contract):
    """A result, and where it came from."""

    data: QueryData
    meta: QueryMeta


class BatchAnswer(Contract):
    """The outcome of one query of a batch: a result, or its own error."""

    id: str
    result: QueryResult | None = None
    error: ApiError | None = None
