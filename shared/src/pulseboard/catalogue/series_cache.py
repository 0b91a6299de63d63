"""What this process has cached of the series catalogue: one cache for ingest, queries and alerts.

All of it belongs to one generation of the catalogue. The database changes the generation when
series are deleted, and when it is restored or started again (`catalogue_generation()`). Within one
generation it never gives an id to another series. When another generation is seen, the whole cache
is replaced: that is the only invalidation. A thread that still holds the old cache fills it to no
effect.
"""

from collections.abc import Mapping, Sequence
from threading import Lock
from time import time
from uuid import UUID

from pulseboard.catalogue.selector import Matcher
from pulseboard.catalogue.series_key import MetricMetadata, RecentIds, Series
from pulseboard.core.freshness import is_fresh
from pulseboard.core.process_state import on_reset
from pulseboard.core.settings import settings

CONFIRMED_SECONDS = 60.0
"""A series whose transaction committed after that of a newer series is found within this time."""
REFUSED_SECONDS = 30.0
"""How long a series that was beyond a limit is refused without another look."""
_MOST_REFUSED = 200_000
_MOST_SELECTED = 2_000_000
"""Series in the cached results of all selectors, each counted as often as it is selected."""
_MOST_METRICS = 20_000
"""Metrics whose ids are cached by name."""

Selection = tuple[str | None, tuple[Matcher, ...], int, float]
"""Metric name, matchers, the most series that are looked at, and how many seconds before now a
series was seen last; 0 where that is not relative to now."""


class SeriesCache:
    """Ids, names and tags of series, and the results of selectors, of one generation.

    `epoch` counts the caches of this process. `touched` holds, by API key, the series whose
    `last_seen` was written since `touched_since` (seconds since 1970).
    """

    def __init__(self, generation: UUID | None, epoch: int) -> None:
        self.generation = generation
        self.epoch = epoch
        self.lock = Lock()
        self.ids = RecentIds(settings().series_map_size)
        self.touched: dict[UUID | None, set[int]] = {}
        self.touched_since = time()
        self.series: dict[int, Series] = {}
        self.metadata: dict[str, MetricMetadata] = {}
        """Metadata of metrics that is known to be stored."""
        self.metric_ids: dict[str, int] = {}
        """Ids of metrics by name. Another metric gets the name only in another generation."""
        self.metric_names: tuple[int, list[tuple[int, str]]] = (0, [])
        """The database's digest of all metric names, and their ids and names."""
        self._refused: dict[tuple[UUID | None, bytes], tuple[str, float]] = {}
        self._selections: dict[Selection, tuple[bytes, list[Series]]] = {}
        self._selected = 0
        self._newest_id = -1
        self._confirmed_at = 0.0
        self._confirmed: set[Selection] = set()

    def __repr__(self) -> str:
        return f"<SeriesCache {self.generation} {len(self.series)} series, {len(self.ids)} ids>"

    def refused(self, identities: Sequence[bytes], *, key_id: UUID | None) -> dict[bytes, str]:
        """Those of these series that were refused lately, sent by this key, with the reasons."""
        known = self._refused
        if not known:
            return {}
        return {
            each: found[0]
            for each in identities
            if (found := known.get((key_id, each))) and is_fresh(found[1], REFUSED_SECONDS)
        }

    def put_refused(self, reasons: Mapping[bytes, str], *, key_id: UUID | None) -> None:
        """Note that these series were refused now."""
        if not reasons:
            return
        now = time()
        with self.lock:
            if len(self._refused) + len(reasons) > _MOST_REFUSED:
                self._refused = {}
            for each, reason in reasons.items():
                self._refused[key_id, each] = reason, now

    def selected(self, selection: Selection) -> tuple[bytes, list[Series]] | None:
        """The result last found for a selector: ids as the database sent them, and series."""
        return self._selections.get(selection)

    def put_selected(self, selection: Selection, ids: bytes, series: list[Series]) -> None:
        """Cache the result of a selector."""
        with self.lock:
            before = self._selections.pop(selection, None)
            self._selected += len(series) + 1 - (len(before[1]) + 1 if before else 0)
            if self._selected > _MOST_SELECTED:
                self._selections, self._selected = {}, len(series) + 1
            self._selections[selection] = ids, series

    def put_metric_id(self, name: str, metric_id: int) -> None:
        """Cache the id of a metric."""
        with self.lock:
            if len(self.metric_ids) >= _MOST_METRICS:
                self.metric_ids.clear()
            self.metric_ids[name] = metric_id

    def put_series(self, series: dict[int, Series]) -> None:
        """Cache series by id."""
        with self.lock:
            if len(self.series) + len(series) > settings().series_map_size:
                self.series = {}
            self.series |= series

    def unconfirmed(self, selections: Sequence[Selection], *, newest_id: int) -> list[Selection]:
        """Those whose cached result may be out of date, each once: a series was created since, or
        `CONFIRMED_SECONDS` have passed. `newest_id` is the highest series id there is.
        """
        with self.lock:
            fresh = is_fresh(self._confirmed_at, CONFIRMED_SECONDS)
            if newest_id != self._newest_id or not fresh:
                self._newest_id = newest_id
                self._confirmed_at = time()
                self._confirmed = set()
            return [
                each
                for each in dict.fromkeys(selections)
                if each not in self._confirmed or each not in self._selections
            ]

    def confirm(self, selections: Sequence[Selection], *, newest_id: int) -> None:
        """Note that these results hold as long as `newest_id` does."""
        with self.lock:
            if newest_id == self._newest_id:
                self._confirmed.update(selections)


_lock = Lock()
_cache: SeriesCache | None = None
_epoch = 0


def current() -> SeriesCache:
    """The cache of the generation seen last; its generation is None before the first."""
    global _cache, _epoch
    cache = _cache
    if cache is not None:
        return cache
    with _lock:
        if _cache is None:
            _epoch += 1
            _cache = SeriesCache(None, _epoch)
        return _cache


def of(generation: UUID | None) -> SeriesCache:
    """The cache of this generation: an empty one when the current one belongs to another."""
    global _cache, _epoch
    cache = _cache
    if cache is not None and generation is not None and cache.generation == generation:
        return cache
    with _lock:
        if _cache is None or generation is None or _cache.generation != generation:
            _epoch += 1
            _cache = SeriesCache(generation, _epoch)
        return _cache


@on_reset
def reset() -> None:
    """Drop everything cached."""
    global _cache
    with _lock:
        _cache = None
