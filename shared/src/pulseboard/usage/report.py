"""Sums usage by metric and by API key, with the estimated cost."""

from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any
from uuid import UUID

import psycopg

from pulseboard.auth import api_keys_store
from pulseboard.contracts.usage import (
    Amounts,
    KeyUsage,
    MetricOrder,
    MetricUsage,
    UsageLimits,
    UsageOverview,
    UsagePrices,
)
from pulseboard.core.settings import settings
from pulseboard.usage import deletion_store, store
from pulseboard.usage.cost_model import Prices, UsageCount, add_up
from pulseboard.usage.store import UsageCounts

_ORDERS: dict[MetricOrder, Callable[[MetricUsage], Any]] = {
    MetricOrder.SERIES: lambda metric: -metric.series_count,
    MetricOrder.NEW_HOUR: lambda metric: -metric.new_last_hour,
    MetricOrder.NEW_DAY: lambda metric: -metric.new_last_day,
    MetricOrder.SAMPLES: lambda metric: -(metric.samples_per_second or 0),
    MetricOrder.COST: lambda metric: -metric.monthly_dollars,
    MetricOrder.NAME: attrgetter("name"),
    # Stale metrics first.
    MetricOrder.LAST_SEEN: lambda metric: metric.last_seen or datetime.min.replace(tzinfo=UTC),
}


def _prices() -> Prices:
    configured = settings()
    return Prices(
        million_samples=configured.usage_million_samples,
        thousand_series=configured.usage_thousand_series,
    )


def _amounts(counted: UsageCount) -> dict[str, Any]:
    return {
        "series_count": counted.series,
        "new_last_hour": counted.new_hour,
        "new_last_day": counted.new_day,
        "samples_per_second": counted.rate,
        "monthly_dollars": _prices().monthly(
            series=counted.series, samples_per_second=counted.rate
        ),
    }


def _metric(name: str, counted: UsageCount) -> MetricUsage:
    seen = counted.last_seen
    return MetricUsage(
        name=name,
        last_seen=datetime.fromtimestamp(seen, UTC) if seen else None,
        **_amounts(counted),
    )


def metric(counts: UsageCounts, name: str) -> MetricUsage:
    """The amounts of a metric; zero when it is newer than the counts."""
    return _metric(name, add_up(counted for each, _, counted in counts if each == name))


def by_metric(counts: UsageCounts, *, search: str, order: MetricOrder) -> list[MetricUsage]:
    """Metrics whose name contains `search` (case-insensitive), sorted by `order`."""
    wanted = search.casefold()
    grouped: dict[str, list[UsageCount]] = defaultdict(list)
    for name, _, counted in counts:
        if wanted in name.casefold():
            grouped[name].append(counted)
    found = [_metric(name, add_up(each)) for name, each in sorted(grouped.items())]
    return sorted(found, key=_ORDERS[order])


def overview(connection: psycopg.Connection[Any], *, owner_id: UUID | None) -> UsageOverview:
    """All amounts. Keys of other owners are summed in one entry; owner None: each is named."""
    as_of, counts = store.counts(connection)
    grouped: dict[UUID | None, list[UsageCount]] = defaultdict(list)
    for _, key_id, counted in counts:
        if counted.series:
            grouped[key_id].append(counted)
    configured, prices = settings(), _prices()
    return UsageOverview(
        total=Amounts(**_amounts(add_up(counted for _, _, counted in counts))),
        metrics_count=len({name for name, _, _ in counts}),
        keys=_keys(connection, grouped, owner_id),
        limits=UsageLimits(
            per_metric=configured.series_max_per_metric,
            per_key=configured.series_max_per_key,
            new_per_minute=configured.series_max_new_per_minute,
        ),
        prices=UsagePrices(
            million_samples=prices.million_samples, thousand_series=prices.thousand_series
        ),
        deleting=deletion_store.pending(connection),
        as_of=as_of,
    )


def _keys(
    connection: psycopg.Connection[Any],
    grouped: dict[UUID | None, list[UsageCount]],
    owner_id: UUID | None,
) -> list[KeyUsage]:
    known = api_keys_store.find_by_ids(connection, ids=[key for key in grouped if key is not None])
    entries: list[KeyUsage] = []
    others: list[UsageCount] = []
    for key_id, each in grouped.items():
        counted = add_up(each)
        key = known.get(key_id) if key_id else None
        if key_id is None:
            entries.append(_key("Pulseboard itself, and people", counted))
        elif key is None:
            entries.append(_key("Keys that are gone", counted))
        elif owner_id is None or key.owner_id == owner_id:
            revoked = key.revoked_at is not None
            entries.append(_key(key.name, counted, id=key_id, revoked=revoked))
        else:
            others.append(counted)
    if others:
        entries.append(_key("Keys of others", add_up(others)))
    return sorted(entries, key=lambda entry: (-entry.series_count, entry.name))


def _key(name: str, counted: UsageCount, **more: Any) -> KeyUsage:
    return KeyUsage(name=name, new_last_minute=counted.new_minute, **_amounts(counted), **more)
