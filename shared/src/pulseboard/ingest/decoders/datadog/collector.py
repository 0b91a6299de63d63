"""Points of Datadog's on their way into a batch, whatever they were written in."""

from collections.abc import Iterable
from typing import Any

from pulseboard.catalogue.series_key import MetricMetadata, SeriesKey
from pulseboard.contracts.vocabulary import MetricType
from pulseboard.core.exceptions import PayloadTooLarge
from pulseboard.ingest.batch import AcceptedTimes, Batch, BatchLimits
from pulseboard.ingest.decoders.json_body import finite, is_number, milliseconds
from pulseboard.ingest.decoders.names import MAX_NAME, metric_name, tags_from, value_problem
from pulseboard.ingest.decoders.series_memo import SeriesMemo

STATISTICS = ("count", "sum", "min", "max", "avg")
KINDS = ("", "count", "rate", "gauge")
SHOWN = 100


class Bad(ValueError):
    """Why a series can't be taken."""


class Taking:
    """A batch in the making. `place` is the series' own in the body."""

    def __init__(self, now: int, limits: BatchLimits, series_memo: SeriesMemo) -> None:
        self.batch = Batch()
        self.limits, self.series_memo = limits, series_memo
        self.window = AcceptedTimes(now, limits)
        self.place = 0

    def refuse(self, why: str) -> None:
        self.batch.refuse(self.limits, self.place, [("series", why)])

    def add(self, key: SeriesKey, seconds: Any, value: Any) -> None:
        """A point; refused by itself when it can't be stored."""
        if not (is_number(seconds) and is_number(value)):
            self.refuse(f'"{key.name}" has a point whose time or value is no number')
            return
        number, moment = finite(value), milliseconds(seconds)
        if number is None or moment is None:
            self.refuse(f'"{key.name}" has a value that is not finite')
            return
        time = int(moment)
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
        batch.positions.append(self.place)
        if len(batch.values) > self.limits.points:
            raise PayloadTooLarge(
                f"The body has more than the {self.limits.points} points that are accepted at once."
            )

    def add_statistics(self, keys: list[SeriesKey], seconds: Any, values: Iterable[Any]) -> None:
        for key, value in zip(keys, values, strict=True):
            self.add(key, seconds, value)

    def key(
        self,
        raw: bytes,
        metric: str,
        resources: Iterable[tuple[str, str]],
        tags: Iterable[str],
    ) -> SeriesKey:
        """The series, known by `raw`. Raises Bad."""
        if not metric:
            raise Bad("has no metric")
        if len(metric) >= MAX_NAME:
            raise Bad(f"makes a name of {len(metric)} characters; {MAX_NAME} are allowed")
        pairs = [(kind, name) for kind, name in resources if name]
        # A tag without a value is one that is there.
        pairs += [(k, v if colon else "true") for k, colon, v in (t.partition(":") for t in tags)]
        for name, value in pairs:
            if problem := value_problem(name[:SHOWN], value):
                raise Bad(f'"{metric[:SHOWN]}" {problem}')
        made = tags_from(pairs)
        if len(made) > self.limits.tags:
            raise Bad(
                f'"{metric[:SHOWN]}" has {len(made)} tags; a point may have at most '
                f"{self.limits.tags}"
            )
        key = SeriesKey.of(metric_name(metric), made)
        self.series_memo.put(raw, key)
        return key

    def statistics(
        self,
        raw: bytes,
        metric: str,
        resources: Iterable[tuple[str, str]],
        tags: Iterable[str],
    ) -> list[SeriesKey]:
        """The five series of a distribution. Raises Bad."""
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

    def describe(self, name: str, kind: str, interval: int, unit: str) -> None:
        if name in self.batch.metadata:
            return
        every = f" of {interval} s" if interval > 0 else ""
        text = {
            "count": f"A count of each interval{every}, as Datadog's agents send it: add it up, "
            "and take no rate of it.",
            "rate": f"A count a second, over each interval{every}.",
        }.get(kind, "")
        if kind or unit:
            self.batch.metadata[name] = MetricMetadata(
                type=MetricType.GAUGE if kind else MetricType.UNKNOWN, unit=unit, text=text
            )
