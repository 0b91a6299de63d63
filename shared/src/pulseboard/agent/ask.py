"""`pulseboard query`: asks a running Pulseboard and draws the answer in the terminal."""

import csv
import io
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pulseboard.contracts.errors import ApiError
from pulseboard.contracts.queries import QueryResult, SeriesData

_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_LEVELS = "▁▂▃▄▅▆▇█"
_SHOWN = 20
COLOURS = ("cyan", "magenta", "green", "yellow", "blue", "red")


class AskError(Exception):
    """The question could not be answered; the message is for the person who asked."""


def seconds(text: str) -> int:
    """`90s`, `15m`, `1h30m`, `7d` in seconds. Raises AskError for anything else."""
    if not re.fullmatch(r"(\d+[smhdw])+", text):
        raise AskError(f"{text!r} is no length of time: write 15m, 1h or 7d")
    found = sum(int(number) * _UNITS[unit] for number, unit in re.findall(r"(\d+)([smhdw])", text))
    if not found:
        raise AskError("the length of time must be more than nothing")
    return found


def known(state: Path) -> dict[str, str]:
    """Address and key that `make up` wrote beside its data, where it did."""
    try:
        found = json.loads(state.read_text())
    except (OSError, ValueError):
        return {}
    return {name: found[name] for name in ("url", "api_key") if isinstance(found.get(name), str)}


def ask(
    client: httpx.Client, query: str, *, last: int, step: int | None, now: datetime, points: int
) -> QueryResult:
    """The answer for the `last` seconds before `now`. Raises AskError."""
    body: dict[str, object] = {
        "query": query,
        "start": (now - timedelta(seconds=last)).isoformat(),
        "end": now.isoformat(),
        "maxPoints": points,
    }
    if step is not None:
        body["step"] = f"{step}s"
    try:
        answer = client.post("/api/v1/query", json=body)
    except httpx.HTTPError as error:
        raise AskError(f"can't reach {client.base_url}: {error}") from None
    try:
        if answer.is_success:
            return QueryResult.model_validate_json(answer.content)
        raise AskError(_refusal(query, ApiError.model_validate_json(answer.content)))
    except ValidationError:
        raise AskError(
            f"{client.base_url} does not answer like Pulseboard (status {answer.status_code})"
        ) from None


def _refusal(query: str, error: ApiError) -> str:
    lines = [error.error]
    for detail in error.details or []:
        if detail.position is not None and "\n" not in query:
            lines += [f"  {query}", f"  {' ' * detail.position}^ {detail.hint or detail.message}"]
        elif detail.hint:
            lines.append(f"  {detail.hint}")
    return "\n".join(lines)


def label(series: SeriesData) -> str:
    """A line's name as it would stand in a query."""
    tags = ", ".join(f'{key}="{value}"' for key, value in sorted(series.tags.items()))
    return f"{series.name}{{{tags}}}" if tags else series.name or "value"


def as_csv(result: QueryResult) -> str:
    """One row a moment, one column a line; a gap is an empty field."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["time", *map(label, result.data.series)])
    for index, at in enumerate(result.data.timestamps):
        moment = datetime.fromtimestamp(at / 1000, tz=UTC).isoformat().replace("+00:00", "Z")
        values = (series.values[index] for series in result.data.series)
        writer.writerow([moment, *("" if value is None else repr(value) for value in values)])
    return out.getvalue()


def show(console: Console, result: QueryResult) -> None:
    """A chart of each line over a table of its numbers, and where they came from."""
    if not result.data.series:
        console.print("No data in this range.", style="yellow")
        return
    every = [v for each in result.data.series for v in each.values if v is not None]
    low, high = min(every, default=0.0), max(every, default=0.0)
    width = max(10, min(60, console.width - 64))
    table = Table("series", f"{_number(low)} … {_number(high)}", box=None, pad_edge=False)
    for heading in ("min", "avg", "max", "last"):
        table.add_column(heading, justify="right", no_wrap=True)
    for index, series in enumerate(result.data.series[:_SHOWN]):
        values = [value for value in series.values if value is not None]
        if values:
            numbers = (min(values), sum(values) / len(values), max(values), values[-1])
            spark = Text(spark_line(series.values, low, high, width))
            spark.stylize(COLOURS[index % len(COLOURS)])
            spark.no_wrap = True
            table.add_row(Text(label(series)), spark, *map(_number, numbers))
    console.print(table)
    if len(result.data.series) > _SHOWN:
        console.print(f"… and {len(result.data.series) - _SHOWN} more series (--csv has them all)")
    meta = result.meta
    cost = "from the cache" if meta.cached else f"{meta.rows_read:,} rows"
    console.print(
        f"{meta.table}, every {meta.resolution}, {cost}, {meta.duration_ms:.1f} ms", style="dim"
    )
    for note in meta.notes:
        console.print(note, style="dim", markup=False)


def spark_line(values: list[float | None], low: float, high: float, width: int) -> str:
    """One character a column, at the height of the mean of what falls into it; gaps are blank."""
    columns = min(width, len(values))
    drawn = []
    for column in range(columns):
        part = values[column * len(values) // columns : (column + 1) * len(values) // columns]
        there = [value for value in part if value is not None]
        if not there:
            drawn.append(" ")
            continue
        share = (sum(there) / len(there) - low) / (high - low) if high > low else 0.5
        drawn.append(_LEVELS[min(len(_LEVELS) - 1, int(share * len(_LEVELS)))])
    return "".join(drawn)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"
