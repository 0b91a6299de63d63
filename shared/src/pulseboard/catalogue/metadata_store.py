"""What senders say of their metrics: type, unit and text, kept in `metric_definitions`."""

from collections.abc import Mapping
from threading import Lock
from typing import Any

import psycopg

from pulseboard.catalogue.series_key import MetricMetadata
from pulseboard.core.process_state import on_reset

_MOST_CACHED = 50_000
_lock = Lock()
_written: dict[str, MetricMetadata] = {}


@on_reset
def reset() -> None:
    """Drop what is remembered (tests)."""
    with _lock:
        _written.clear()


def put(connection: psycopg.Connection[Any], *, found: Mapping[str, MetricMetadata]) -> None:
    """Write what is new to this process; what a sender does not say is left as it is."""
    if not found:
        return
    with _lock:
        due = {name: said for name, said in found.items() if _written.get(name) != said}
    if not due:
        return
    names = sorted(due)
    # Served by metric_definitions_name_key, in its order.
    connection.execute(
        """
        update metric_definitions d set
          type = case when w.type = 'unknown' then d.type else w.type end,
          unit = coalesce(nullif(w.unit, ''), d.unit),
          description = coalesce(nullif(w.text, ''), d.description)
        from unnest(%s::text[], %s::text[], %s::text[], %s::text[]) as w (name, type, unit, text)
        where d.name = w.name and (
          (w.type <> 'unknown' and w.type <> d.type)
          or (w.unit <> '' and w.unit is distinct from d.unit)
          or (w.text <> '' and w.text is distinct from d.description)
        )
        """,
        (
            names,
            [str(due[name].type) for name in names],
            [due[name].unit for name in names],
            [due[name].text for name in names],
        ),
    )
    # What is said before the first sample comes is not remembered: it will be said again.
    # Served by metric_definitions_name_key.
    rows = connection.execute(
        "select name from metric_definitions where name = any(%s)", (names,)
    ).fetchall()
    with _lock:
        if len(_written) + len(due) > _MOST_CACHED:
            _written.clear()
        _written.update({name: due[name] for (name,) in rows})
