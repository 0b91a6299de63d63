"""Collects Datadog's points into a batch; shared by all its formats."""

from collections.abc import Iterable
from typing import Any

from pulseboard.catalogue.series_key import MetricMetadata, SeriesKey
from pulseboard.contracts.vocabulary import MetricType
from pulseboard.core.exceptions import PayloadTooLarge
from pulseboard.ingest.batch import AcceptedTimes, Batch, BatchLimits
from pulseboard.ingest.decoders.json_body import finite, is_number, milliseconds
from pulseboard.ingest.decoders.names import name_problem, shown, tags_from, tags_problem
from pulseboard.ingest.decoders.series_memo import SeriesMemo
from pulseboard.ingest.parts_budget import PartsBudget

STATISTICS = ("count", "sum", "min", "max", "avg")
KINDS = ("", "count", "rate", "gauge")
SHOWN = 100


_BUCKETS = MetricMetadata(
    type=MetricType.GAUGE,
    text="Counts of each interval up to the bound le: add them up with sum_over_time, then "
    "histogram_quantile.",
)


class RefusedSeries(ValueError):
    """A series can't be stored; the message says why."""


class SeriesCollector:
    """Adds series to a batch. `position` is the index of the current series in the body."""

    def __init__(self, now: int, limits: BatchLimits, series_memo: SeriesMemo) -> None:
        self.batch = Batch()
        self.limits, self.series_memo = limits, series_memo
        self.window = AcceptedTimes(now, limits)
        self.position = 0
        self._of_buckets = 0
        self.budget = PartsBudget(limits.parts)

    def refuse(self, why: str) -> None:
        self.batch.refuse(self.limits, self.position, [("series", why)])

    def add(self, key: SeriesKey, seconds: Any, value: Any) -> None:
        """Add a point, or refuse it alone when it can't be stored."""
        if not (is_number(seconds) and is_number(value)):
            self.refuse(f'"{key.name}" has a point whose time or value is no number')
            return
        number, at = finite(value), milliseconds(seconds)
        if number is None or at is None:
            self.refuse(f'"{key.name}" has a value that is not finite')
            return
        time = int(at)
        if time not in self.window:
            self.refuse(
                f'"{key.name}" has a point at {str(seconds)[:24]} (seconds) that '
                f"{self.window.why_not(time)}"
            )
            return
        batch = self.batch
        batch.series.append(key)
        batch.times.append(time)
        batch.values.append(number)
        batch.positions.append(self.position)
        if len(batch.values) - self._of_buckets > self.limits.points:
            raise PayloadTooLarge(
                f"The body has more than the {self.limits.points} points that are accepted at once."
            )

    def add_statistics(self, keys: list[SeriesKey], seconds: Any, values: Iterable[Any]) -> None:
        for key, value in zip(keys, values, strict=True):
            self.add(key, seconds, value)

    def add_buckets(
        self,
        raw: bytes,
        metric: str,
        resources: Iterable[tuple[str, str]],
        tags: list[str],
        seconds: Any,
        buckets: Iterable[tuple[str, float]],
    ) -> None:
        """Add the buckets of a distribution as `{metric}.bucket`, by `le`. Raises RefusedSeries."""
        resources = list(resources)
        for bound, count in buckets:
            known = b"%b\0le=%b" % (raw, bound.encode())
            key = self.series_memo.find(known) or self.key(
                known, f"{metric}.bucket", resources, [*tags, f"le:{bound}"]
            )
            self.batch.metadata.setdefault(key.name, _BUCKETS)
            before = len(self.batch.values)
            # Before it is added, which checks how many there are.
            self._of_buckets += 1
            self.add(key, seconds, count)
            self._of_buckets -= before == len(self.batch.values)
        if self._of_buckets > self.limits.parts_of_histograms:
            raise PayloadTooLarge("The sketches have more buckets than are accepted at once.")

    def key(
        self,
        raw: bytes,
        metric: str,
        resources: Iterable[tuple[str, str]],
        tags: Iterable[str],
    ) -> SeriesKey:
        """Parse a series and cache it under `raw`. Raises RefusedSeries."""
        if not metric:
            raise RefusedSeries("has no metric")
        if problem := name_problem(metric):
            raise RefusedSeries(problem)
        pairs = [(kind, name) for kind, name in resources if name]
        # A tag without a value becomes `tag="true"`.
        parts = (tag.partition(":") for tag in tags if tag)
        pairs += [(key, value if colon else "true") for key, colon, value in parts]
        all_tags = tags_from(pairs)
        if problem := tags_problem(all_tags, self.limits.tags):
            raise RefusedSeries(f'"{shown(metric)}" {problem}')
        key = SeriesKey.of(metric, all_tags)
        self.series_memo.put(raw, key)
        return key

    def statistics(
        self,
        raw: bytes,
        metric: str,
        resources: Iterable[tuple[str, str]],
        tags: Iterable[str],
    ) -> list[SeriesKey]:
        """The five series of a distribution. Raises RefusedSeries."""
        resources, tags = list(resources), list(tags)
        keys = []
        for statistic in STATISTICS:
            known = raw + statistic.encode()
            keys.append(
                self.series_memo.find(known)
                or self.key(known, metric and f"{metric}.{statistic}", resources, tags)
            )
        self.describe(keys[0].name, "count", 0, "")
        return keys

    def describe(self, name: str, kind: str, interval: int, unit: str, *, text: str = "") -> None:
        """Note the metadata of a metric, once; without `text` it says what its kind holds."""
        if name in self.batch.metadata:
            return
        every = f" of {interval} s" if interval > 0 else ""
        text = text or {
            "count": f"A count of each interval{every}, as Datadog's agents send it: add it up, "
            "and do not use rate().",
            "rate": f"A count a second, over each interval{every}.",
        }.get(kind, "")
        if kind or unit:
            self.batch.metadata[name] = MetricMetadata(
                type=MetricType.GAUGE if kind else MetricType.UNKNOWN, unit=unit, text=text
            )
