"""Answers questions: cache, plan, read, pivot. Shared by the single route and the batch."""

import math
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from pulseboard.contracts.base import format_interval, interval_seconds
from pulseboard.contracts.errors import ErrorDetail
from pulseboard.contracts.queries import (
    QueryData,
    QueryMeta,
    QueryParams,
    QueryResult,
    SeriesData,
    Tier,
)
from pulseboard.domain import selector as selectors
from pulseboard.domain import tiers
from pulseboard.exceptions import InvalidRequest
from pulseboard.settings import settings
from pulseboard.stores import database, queries, query_cache

ROUNDING = 10
"""Seconds: questions that differ by less share an answer."""


def answer(params: QueryParams, *, now: datetime | None = None) -> QueryResult:
    """Answer one question.

    Raises InvalidRequest for a text that can't be read or a limit that is passed, Unavailable
    when the database does not answer.
    """
    began = time.perf_counter()
    moment = now or datetime.now(UTC)
    configured = settings()
    selector = selectors.parse(params.query)
    params = _rounded(params)
    _check_range(params, configured.query_max_range)
    plan = tiers.choose(
        start=params.start,
        end=params.end,
        now=moment,
        step=interval_seconds(params.step) if params.step else None,
        max_points=params.max_points,
        tier=params.tier,
        retention={
            Tier.RAW: configured.retention_raw,
            Tier.MINUTE: configured.retention_minute,
            Tier.HOUR: configured.retention_hour,
        },
    )
    name = query_cache.key(
        {
            "query": selector.normalised(),
            "aggregation": params.aggregation,
            "tags": params.tags,
            "group_by": sorted(params.group_by) if params.group_by is not None else None,
            "tier": plan.tier,
            "step": plan.step,
            "first": plan.first,
            "count": plan.count,
        }
    )
    kept = query_cache.get(name)
    if kept is not None:
        data = QueryData.model_construct(
            timestamps=kept["timestamps"],
            series=[SeriesData.model_construct(**line) for line in kept["series"]],
        )
        rows, notes = 0, kept["notes"]
    else:
        data, rows, notes = _read(params, selector, plan)
        live = params.end > moment - timedelta(seconds=2 * plan.step)
        query_cache.put(
            name,
            {
                "timestamps": data.timestamps,
                "series": [vars(line) for line in data.series],
                "notes": notes,
            },
            seconds=configured.query_cache_live if live else configured.query_cache_historical,
        )
    meta = QueryMeta(
        table=plan.table,
        resolution=format_interval(plan.step),
        cached=kept is not None,
        rows_read=rows,
        duration_ms=round((time.perf_counter() - began) * 1000, 2),
        notes=[*plan.notes, *notes],
    )
    return QueryResult.model_construct(data=data, meta=meta)


def _rounded(params: QueryParams) -> QueryParams:
    short = params.end - params.start < timedelta(minutes=1)
    if short or (params.step is not None and interval_seconds(params.step) < ROUNDING):
        return params
    # Both ends up: an hour stays an hour, and the newest samples are in.
    start = math.ceil(params.start.timestamp() / ROUNDING) * ROUNDING
    end = math.ceil(params.end.timestamp() / ROUNDING) * ROUNDING
    return params.model_copy(
        update={
            "start": datetime.fromtimestamp(start, tz=UTC),
            "end": datetime.fromtimestamp(end, tz=UTC),
        }
    )


def _check_range(params: QueryParams, longest: int) -> None:
    if (params.end - params.start).total_seconds() > longest:
        raise _too_much(f"The range is longer than {format_interval(longest)}.", "start")


def _too_much(message: str, field: str, hint: str = "narrow the range") -> InvalidRequest:
    return InvalidRequest(message, details=[ErrorDetail(field=field, message=message, hint=hint)])


def too_large(size: int) -> InvalidRequest:
    """The error for an answer of `size` bytes that can't be sent."""
    return _too_much(
        f"The answer has {size} bytes; {settings().query_max_response_bytes} can be sent.",
        "query",
        "take a wider step, a shorter range or fewer series",
    )


def _read(
    params: QueryParams, selector: selectors.Selector, plan: tiers.Plan
) -> tuple[QueryData, int, list[str]]:
    configured = settings()
    equal = {
        matcher.key: matcher.value
        for matcher in selector.matchers
        if matcher.operator == "=" and matcher.value
    }
    tags = {**equal, **{key: value for key, value in params.tags.items() if value}}
    with database.connection() as connection, connection.transaction():
        connection.execute(
            "select set_config('statement_timeout', %s, true)",
            (f"{configured.query_timeout * 1000:.0f}",),
        )
        try:
            found = queries.find_series(
                connection,
                name=selector.name,
                tags=tags,
                limit=configured.query_max_series * 10 + 1,
            )
            if found is None:
                notes = [f"there is no metric named {selector.name}"]
                return QueryData(timestamps=plan.timestamps(), series=[]), 0, notes
            lines = [
                series
                for series in found
                if all(matcher.accepts(series.tags) for matcher in selector.matchers)
            ]
            labels, groups = _group(lines, params.group_by)
            _check_size(len(lines), len(labels), plan.count)
            rows = queries.read_buckets(
                connection,
                tier=plan.tier,
                aggregation=params.aggregation,
                series_ids=[series.id for series in lines],
                groups=groups,
                start=plan.start,
                end=plan.end,
                step=plan.step,
            )
        except psycopg.errors.QueryCanceled as error:
            raise _too_much(
                f"The query took longer than {configured.query_timeout:g} s.",
                "query",
                "narrow the range, ask for fewer series or a wider step",
            ) from error
    index_of = (
        {series.id: index for index, series in enumerate(lines)}
        if groups is None
        else {index: index for index in range(len(labels))}
    )
    return _pivot(selector.name, labels, index_of, rows, plan), len(rows), []


def _group(
    lines: list[queries.Series], keys: list[str] | None
) -> tuple[list[dict[str, str]], list[int] | None]:
    if keys is None:
        return [series.tags for series in lines], None
    numbers: dict[tuple[str, ...], int] = {}
    groups = [
        numbers.setdefault(tuple(series.tags.get(key, "") for key in keys), len(numbers))
        for series in lines
    ]
    labels = [
        {key: value for key, value in zip(keys, values, strict=True) if value} for values in numbers
    ]
    return labels, groups


def _check_size(series: int, lines: int, buckets: int) -> None:
    configured = settings()
    if lines > configured.query_max_series or series > configured.query_max_series * 10:
        raise _too_much(
            f"The query selects {series} series; {configured.query_max_series} may be shown.",
            "query",
            "add a tag filter, or group by fewer tags",
        )
    if lines * buckets > configured.query_max_points:
        raise _too_much(
            f"The answer would hold {lines * buckets} values "
            f"({lines} lines × {buckets} buckets); {configured.query_max_points} are allowed.",
            "step",
            "take a wider step, a shorter range or fewer series",
        )


def _pivot(
    name: str,
    labels: list[dict[str, str]],
    index_of: dict[int, int],
    rows: list[tuple[int, float, float]],
    plan: tiers.Plan,
) -> QueryData:
    columns: list[list[float | None] | None] = [None] * len(labels)
    first, step, count = plan.first, plan.step, plan.count
    for number, slot, value in rows:
        index = index_of[number]
        values = columns[index]
        if values is None:
            values = columns[index] = [None] * count
        # Sums of huge values can overflow; JSON has no infinity.
        if math.isfinite(value):
            values[int((slot - first) // step)] = value
    series = [
        SeriesData.model_construct(name=name, tags=label, values=values)
        for label, values in zip(labels, columns, strict=True)
        if values is not None
    ]
    series.sort(key=lambda line: sorted(line.tags.items()))
    return QueryData.model_construct(timestamps=plan.timestamps(), series=series)


def to_wire(result: QueryResult) -> dict[str, Any]:
    """The answer as plain JSON values, without validating each number again."""
    return {
        "data": {
            "timestamps": result.data.timestamps,
            "series": [vars(line) for line in result.data.series],
        },
        "meta": result.meta.model_dump(mode="json", by_alias=True),
    }
