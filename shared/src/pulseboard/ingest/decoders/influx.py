"""InfluxDB's line protocol: from a request's body to a batch.

https://docs.influxdata.com/influxdb/v2/reference/syntax/line-protocol/. A line is

    measurement[,tag=value…] field=value[,field=value…] [timestamp]

and each of its fields becomes a sample of the metric `{measurement}_{field}`. Numbers and
booleans (0 and 1) are stored, texts are counted as skipped. A line is stored or refused whole.

Nearly all lines have no quotes and backslashes: these are split. All others, and those that can't
be split as expected, are parsed token by token, which also finds the reason to refuse one.
"""

import re
from math import isfinite

from pulseboard.catalogue.series_key import SeriesKey, canonical_tags
from pulseboard.core.exceptions import InvalidRequest, PayloadTooLarge
from pulseboard.ingest.batch import AcceptedTimes, Batch, BatchLimits
from pulseboard.ingest.decoders.names import name_problem, tags_from, tags_problem
from pulseboard.ingest.decoders.series_memo import SeriesMemo
from pulseboard.ingest.parts_budget import PartsBudget

# A time in milliseconds is the number of units times the first, divided by the second.
_UNITS = {
    "ns": (1, 1_000_000),
    "us": (1, 1_000),
    "ms": (1, 1),
    "s": (1_000, 1),
    "m": (60_000, 1),
    "h": (3_600_000, 1),
}
_AUTO = "auto"
# Below so many units a timestamp of today is in this one.
_GUESSES = ((5 * 10**9, "s"), (5 * 10**12, "ms"), (5 * 10**15, "us"))
_ALIASES = {"": "ns", "n": "ns", "u": "us", "µ": "us", "µs": "us"} | {
    f"{name}second": short
    for name, short in (("nano", "ns"), ("micro", "us"), ("milli", "ms"), ("", "s"))
}
_FLAGS = dict.fromkeys([b"t", b"T", b"true", b"True", b"TRUE"], 1.0) | dict.fromkeys(
    [b"f", b"F", b"false", b"False", b"FALSE"], 0.0
)
_STARTS = frozenset(b"-.0123456789")
_DIGITS = frozenset(b".0123456789")
_WHOLE = frozenset(b"iu")
_BLANK_OR_COMMENT = frozenset(b"# \t\r")
# Integers of so many digits fit into 64 bits.
_SAFE_DIGITS = 18
_RANGES = {b"i": (-(2**63), 2**63 - 1), b"u": (0, 2**64 - 1)}

_HEAD_ENDS = re.compile(rb"(?<!\\) |\n")
_TAG_ENDS = re.compile(rb"(?<!\\),")
_KEY_ENDS = re.compile(rb"(?<!\\)=")
_ESCAPED = re.compile(rb"\\([,= ])")
_FIELD = re.compile(
    rb'((?:[^\\,=\n ]|\\[^\n])+)=(?:"[^"\\]*(?:\\.[^"\\]*)*(")|([^,\s"]+))', re.DOTALL
)
_STAMP = re.compile(rb"-?[0-9]{1,20}")
_SHOWN = 60


class _RefusedLine(ValueError):
    """A line can't be stored; the message says why."""


class Precision:
    """The unit of timestamps; `auto` tells it by the size of each one, as InfluxDB 3 does. Raises
    InvalidRequest for an unknown name.
    """

    __slots__ = ("divide", "is_auto", "multiply", "name")

    def __init__(self, name: str) -> None:
        self.name = _ALIASES.get(name, name)
        self.is_auto = self.name == _AUTO
        if self.name not in _UNITS and not self.is_auto:
            raise InvalidRequest(
                f'There is no precision "{name[:_SHOWN]}": ns, us, ms, s, m, h and auto are known.'
            )
        self.multiply, self.divide = _UNITS.get(self.name, (1, 1))

    def __repr__(self) -> str:
        return f"<Precision {self.name}>"

    def milliseconds(self, stamp: bytes) -> int:
        """A timestamp, whole digits, in milliseconds since 1970."""
        number = int(stamp)
        if self.is_auto:
            name = next((unit for most, unit in _GUESSES if abs(number) < most), "ns")
            multiply, divide = _UNITS[name]
            return number * multiply // divide
        return number * self.multiply // self.divide


def decode(
    body: bytes, *, now: int, limits: BatchLimits, precision: Precision, series_memo: SeriesMemo
) -> Batch:
    """The samples of a body, not compressed. `now` in milliseconds since 1970.

    Lines without a timestamp get `now`. `positions` and the issues' indices are line numbers,
    from 1.
    Raises PayloadTooLarge beyond `limits`.
    """
    return _LineParser(body, now, limits, precision, series_memo).parse()


class _LineParser:
    def __init__(
        self,
        body: bytes,
        now: int,
        limits: BatchLimits,
        precision: Precision,
        series_memo: SeriesMemo,
    ) -> None:
        self.body, self.now, self.limits = body, now, limits
        self.precision, self.series_memo = precision, series_memo
        self.window = AcceptedTimes(now, limits)
        self.batch = Batch()
        self.budget = PartsBudget(limits.parts)
        # Samples of lines that were refused after they were read: they count like others.
        self._refused = 0
        self._position = 0
        self._head: bytes | None = None
        self._measurement = ""
        self._tags = b""

    def parse(self) -> Batch:
        """Parse all lines, in order."""
        body, batch, size, most = self.body, self.batch, len(self.body), self.limits.points
        series, positions = batch.series, batch.positions
        budget = self.budget
        position, number, lines = 0, 1, 0
        while position < size:
            budget.left -= 1
            if budget.left < 0:
                raise budget.spent()
            end = body.find(b"\n", position)
            if end < 0:
                end = size
            line = body[position:end]
            if (line and line[0] not in _BLANK_OR_COMMENT) or _has_content(line):
                lines += 1
                before, line_number = len(series), number
                if b'"' in line or b"\\" in line or not self._split(line):
                    self._roll_back(before)
                    end = self._tokenize(position, number)
                    number += body.count(b"\n", position, end)
                added = len(series) - before
                if added:
                    positions.extend([line_number] * added)
                if lines > most:
                    raise self._too_many()
                self._check_samples()
            number += 1
            position = end + 1
        return batch

    def _too_many(self) -> PayloadTooLarge:
        return PayloadTooLarge(
            f"The body has more than the {self.limits.points} samples that are accepted at once; "
            "send fewer lines (Telegraf: metric_batch_size)."
        )

    def _check_samples(self) -> None:
        if len(self.batch.series) + self._refused > self.limits.points:
            raise self._too_many()

    def _roll_back(self, before: int) -> None:
        batch = self.batch
        del batch.series[before:], batch.times[before:], batch.values[before:]

    def _split(self, line: bytes) -> bool:
        """Add a line without quotes and escapes; False when it can't be split as expected."""
        head, _, rest = line.partition(b" ")
        fields, _, stamp = rest.partition(b" ")
        if not stamp:
            time = self.now
        elif stamp.isdigit() and len(stamp) <= _SAFE_DIGITS + 2:
            precision = self.precision
            if precision.is_auto:
                time = precision.milliseconds(stamp)
            else:
                time = int(stamp) * precision.multiply // precision.divide
        else:
            return False
        if not self.window.oldest <= time <= self.window.newest:
            return False
        # Each is a sample: without quotes there are no texts.
        if fields.count(b",") >= self.limits.points:
            raise self._too_many()
        batch, known, start = self.batch, self.series_memo.young, head + b" "
        for field in fields.split(b","):
            name, _, text = field.partition(b"=")
            if not text:
                return False
            last = text[-1]
            if last in _DIGITS and text[0] in _STARTS:
                try:
                    value = float(text)
                except ValueError:
                    return False
                if b"_" in text or not isfinite(value):
                    return False
            elif last in _WHOLE and text[:-1].isdigit() and len(text) <= _SAFE_DIGITS:
                value = float(text[:-1])
            else:
                flag = _FLAGS.get(text)
                if flag is None:
                    return False
                value = flag
            key = known.get(start + name)
            if key is None:
                if not name:
                    return False
                try:
                    key = self._series(head, name)
                except _RefusedLine:
                    return False
            batch.series.append(key)
            batch.times.append(time)
            batch.values.append(value)
        return True

    def _tokenize(self, position: int, number: int) -> int:
        """Add or refuse the line that begins at `position`; returns the position of its end."""
        batch, before, skipped = self.batch, len(self.batch.series), self.batch.skipped
        self._position = position
        try:
            self._fields(self._read_head())
            end = self._end_of_line()
            time = self._time(self.body[self._position : end].strip())
        except _RefusedLine as bad:
            self._refused += len(batch.series) - before
            self._roll_back(before)
            batch.skipped = skipped
            batch.refuse(self.limits, number, [("line", str(bad))])
            # From the error on: a quoted text may span several lines.
            return self._end_of_line()
        batch.times.extend([time] * (len(batch.series) - before))
        return end

    def _end_of_line(self) -> int:
        end = self.body.find(b"\n", self._position)
        return len(self.body) if end < 0 else end

    def _skip_spaces(self) -> None:
        while self.body[self._position : self._position + 1] in (b" ", b"\t"):
            self._position += 1

    def _read_head(self) -> bytes:
        self._skip_spaces()
        found = _HEAD_ENDS.search(self.body, self._position)
        if found is None or found[0] == b"\n":
            raise _RefusedLine("has no field: measurement,tag=value field=1 is meant")
        head = self.body[self._position : found.start()]
        self._position = found.start()
        self._skip_spaces()
        return head

    def _fields(self, head: bytes) -> None:
        body, batch = self.body, self.batch
        while True:
            found = _FIELD.match(body, self._position)
            if found is None:
                raise _RefusedLine(f"has no field=value at {_shown(body, self._position)}")
            self._position = found.end()
            self.budget.spend(1)
            if found[2]:
                batch.skipped += 1
            else:
                batch.values.append(_value(found[1], found[3]))
                batch.series.append(self._series(head, found[1]))
                self._check_samples()
            after = body[self._position : self._position + 1]
            if after != b",":
                if after.strip():
                    raise _RefusedLine(f"goes on after a value with {_shown(body, self._position)}")
                return
            self._position += 1

    def _time(self, stamp: bytes) -> int:
        if not stamp:
            return self.now
        if not _STAMP.fullmatch(stamp):
            raise _RefusedLine(f"has the timestamp {_shown(stamp)}; a whole number is meant")
        time = self.precision.milliseconds(stamp)
        if time not in self.window:
            why = self.window.why_not(time)
            raise _RefusedLine(
                f"has a timestamp, {_shown(stamp)} in {self.precision.name}, that {why}"
            )
        return time

    def _series(self, head: bytes, field: bytes) -> SeriesKey:
        raw = head + b" " + field
        key = self.series_memo.find(raw)
        if key is None:
            if head != self._head:
                self._head = None
                self._measurement, self._tags = self._origin(head)
                self._head = head
            name = f"{self._measurement}_{_text(field)}"
            if problem := name_problem(name):
                raise _RefusedLine(problem)
            key = SeriesKey(name, self._tags)
            self.series_memo.put(raw, key)
        return key

    def _origin(self, head: bytes) -> tuple[str, bytes]:
        """The measurement's name, and the tags in canonical form."""
        # As many as the pattern splits at, counted before they are made.
        count = head.count(b",") - head.count(b"\\,")
        if count > self.limits.tags:
            raise _RefusedLine(f"has {count} tags; a point may have at most {self.limits.tags}")
        measurement, *tags = _TAG_ENDS.split(head)
        if not measurement:
            raise _RefusedLine("has no measurement's name")
        pairs = []
        for tag in tags:
            key, *value = _KEY_ENDS.split(tag)
            if not key or len(value) != 1:
                raise _RefusedLine(f"has the tag {_shown(tag)}; key=value is meant")
            pairs.append((_text(key), _text(value[0])))
        found = tags_from(pairs)
        if problem := tags_problem(found, self.limits.tags):
            raise _RefusedLine(problem)
        return _text(measurement), canonical_tags(found)


def _has_content(line: bytes) -> bool:
    start = line.lstrip()[:1]
    return bool(start) and start != b"#"


def _value(name: bytes, text: bytes) -> float:
    """A number or a boolean. Raises _RefusedLine."""
    flag = _FLAGS.get(text)
    if flag is not None:
        return flag
    kind = text[-1:]
    if kind in _RANGES and _STAMP.fullmatch(text[:-1]):
        whole, (least, most) = int(text[:-1]), _RANGES[kind]
        if least <= whole <= most:
            return float(whole)
        raise _RefusedLine(f"has in {_shown(name)} a whole number of more than 64 bits")
    if text and text[0] in _STARTS and text[-1] in _DIGITS and b"_" not in text:
        try:
            value = float(text)
        except ValueError:
            pass
        else:
            if isfinite(value):
                return value
            raise _RefusedLine(f"has in {_shown(name)} a number that is too large")
    raise _RefusedLine(
        f"has in {_shown(name)} the value {_shown(text)}; a number (1.5, 2i, 3u), true, false or "
        'a "text" is meant'
    )


def _text(raw: bytes) -> str:
    try:
        return _ESCAPED.sub(rb"\1", raw).decode() if b"\\" in raw else raw.decode()
    except UnicodeDecodeError:
        raise _RefusedLine(f"is not UTF-8 at {_shown(raw)}") from None


def _shown(raw: bytes, start: int = 0) -> str:
    part = raw[start : start + _SHOWN].split(b"\n", 1)[0]
    return f'"{part.decode(errors="replace")}"' if part else "the end of the line"
