"""`pulseboard query`: queries a running Pulseboard and draws the result in the terminal."""

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

from pulseboard.agent import terminal_chart
from pulseboard.contracts.errors import ApiError
from pulseboard.contracts.queries import ExplainedRead, QueryExplain, QueryResult, SeriesData

_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_SHOWN = 20
_ALL_NUMBERS = 60
"""Terminal width, in characters, from which on more numbers than the last are shown."""
COLOURS = (
    *("cyan", "magenta", "green", "yellow", "blue", "red"),
    *("bright_cyan", "bright_magenta", "bright_green", "bright_yellow", "bright_blue"),
)


class QueryCommandError(Exception):
    """The query failed; the message is shown to the user."""


def seconds(text: str) -> int:
    """`90s`, `15m`, `1h30m`, `7d` in seconds. Raises QueryCommandError for anything else."""
    if not re.fullmatch(r"(\d+[smhdw])+", text):
        raise QueryCommandError(f"{text!r} is not a duration: write 15m, 1h or 7d")
    found = sum(int(number) * _UNITS[unit] for number, unit in re.findall(r"(\d+)([smhdw])", text))
    if not found:
        raise QueryCommandError("the duration must be greater than zero")
    return found


def local_server(state: Path) -> dict[str, str]:
    """Address and key of the local stack, from the state file of `make up`; empty without one."""
    try:
        found = json.loads(state.read_text())
    except (OSError, ValueError):
        return {}
    return {name: found[name] for name in ("url", "api_key") if isinstance(found.get(name), str)}


def run_query(
    client: httpx.Client,
    query: str,
    *,
    last: int,
    step: int | None,
    now: datetime,
    points: int,
    explain: bool = False,
) -> QueryResult:
    """The result for the `last` seconds before `now`. Raises QueryCommandError."""
    body: dict[str, object] = {
        "query": query,
        "start": (now - timedelta(seconds=last)).isoformat(),
        "end": now.isoformat(),
        "maxPoints": points,
    }
    if explain:
        body["explain"] = True
    if step is not None:
        body["step"] = f"{step}s"
    try:
        response = client.post("/api/v1/query", json=body)
    except httpx.HTTPError as error:
        raise QueryCommandError(f"can't reach {client.base_url}: {error}") from None
    try:
        if response.is_success:
            return QueryResult.model_validate_json(response.content)
        raise QueryCommandError(_refusal(query, ApiError.model_validate_json(response.content)))
    except ValidationError:
        raise QueryCommandError(
            f"{client.base_url} does not respond like Pulseboard (status {response.status_code})"
        ) from None


def _refusal(query: str, error: ApiError) -> str:
    lines = [error.error]
    for detail in error.details or []:
        if detail.position is not None and detail.position <= len(query):
            before = query[: detail.position]
            row = before.count("\n")
            text = query.split("\n")[row].replace("\t", " ")
            lines += [f"  {text}", f"  {' ' * (len(before) - before.rfind(chr(10)) - 1)}^"]
            lines[-1] += f" {detail.hint or detail.message}"
        elif detail.hint:
            lines.append(f"  {detail.hint}")
    return "\n".join(lines)


def label(series: SeriesData) -> str:
    """The name of a series, as a selector."""
    tags = ", ".join(f'{key}="{value}"' for key, value in sorted(series.tags.items()))
    return f"{series.name}{{{tags}}}" if tags else series.name or "value"


def as_csv(result: QueryResult) -> str:
    """One row per timestamp, one column per series; a gap is an empty field."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["time", *map(label, result.data.series)])
    for index, at in enumerate(result.data.timestamps):
        time = datetime.fromtimestamp(at / 1000, tz=UTC).isoformat().replace("+00:00", "Z")
        values = (series.values[index] for series in result.data.series)
        writer.writerow([time, *("" if value is None else repr(value) for value in values)])
    return out.getvalue()


def show(console: Console, result: QueryResult) -> None:
    """Print a chart of the series, a table of their values, and the cost of the query."""
    if not result.data.series:
        console.print("No data in this range.", style="yellow")
        _cost(console, result)
        return
    shown = result.data.series[:_SHOWN]
    unicode_ = console.encoding.lower().startswith("utf")
    chart = terminal_chart.draw(
        result.data.timestamps,
        [(COLOURS[index % len(COLOURS)], series.values) for index, series in enumerate(shown)],
        width=console.width,
        height=max(8, min(20, console.height // 2)),
        zone=None,
    )
    if chart is not None and unicode_:
        console.print(chart)
        console.print()
    console.print(_table(shown, console.width, "●" if unicode_ else "*"))
    if len(result.data.series) > _SHOWN:
        console.print(
            f"… and {len(result.data.series) - _SHOWN} more series (--csv has them all)",
            style="yellow",
        )
    _cost(console, result)


def _table(shown: list[SeriesData], width: int, mark: str) -> Table:
    # A name that all series share is printed once, over their tags.
    names = {series.name for series in shown}
    shared = names.pop() if len(names) == 1 and len(shown) > 1 else ""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(Text(shared or "series"), overflow="fold")
    columns = ("min", "avg", "max", "last") if width >= _ALL_NUMBERS else ("last",)
    for heading in columns:
        table.add_column(heading, justify="right", no_wrap=True)
    for index, series in enumerate(shown):
        values = [value for value in series.values if value is not None]
        if not values:
            continue
        numbers = {
            "min": min(values),
            "avg": sum(values) / len(values),
            "max": max(values),
            "last": values[-1],
        }
        name = Text(f"{mark} ", COLOURS[index % len(COLOURS)])
        known = SeriesData(name="", tags=series.tags, values=[]) if shared else series
        name.append(label(known) if known.tags or known.name else "{}", "default")
        table.add_row(name, *(_number(numbers[heading]) for heading in columns))
    return table


def _cost(console: Console, result: QueryResult) -> None:
    meta = result.meta
    cost = "from the cache" if meta.cached else f"{meta.rows_read:,} rows"
    console.print(
        f"{meta.table}, every {meta.resolution}, {cost}, {meta.duration_ms:.1f} ms",
        style="dim",
        highlight=False,
    )
    for note in meta.notes:
        console.print(f"note: {note}", style="dim", markup=False)


def show_explain(console: Console, explain: QueryExplain) -> None:
    """Print how a query was executed: what was computed, what was read, and the times."""
    cached = f"{explain.points_cached} of {explain.points} points from the cache"
    rows = [
        ("computed", explain.evaluated),
        ("tier", f"{explain.tier.value}, step {explain.step}"),
        ("cache", cached),
    ]
    for read in explain.reads:
        rows += [("read", read.selector), ("", _read(read))]
    spent = (f"{each.phase.value} {each.duration_ms:.1f} ms" for each in explain.times)
    rows.append(("time", ", ".join(spent)))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for heading, text in rows:
        table.add_row(heading, Text(text))
    console.print()
    console.print(table)


def _read(read: ExplainedRead) -> str:
    start, end = (
        datetime.fromtimestamp(each / 1000, tz=UTC).strftime("%Y-%m-%d %H:%M:%S")
        for each in (read.start, read.end)
    )
    if read.shared:
        return "read for another query of the batch"
    sql = f"SQL: {read.pushed_down}" if read.pushed_down else "every row fetched"
    return (
        f"{read.series:,} series, {read.rows:,} rows of {read.table} from {start} to {end} UTC, "
        f"{sql}, {read.duration_ms:.1f} ms"
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"
