"""Metadata of metrics as their senders give it: type, unit and text, in `metric_definitions`."""

from collections.abc import Mapping
from typing import Any

import psycopg

from pulseboard.catalogue import series_cache
from pulseboard.catalogue.series_key import MetricMetadata

_MOST_CACHED = 50_000


def put(connection: psycopg.Connection[Any], *, found: Mapping[str, MetricMetadata]) -> None:
    """Write the metadata that this process has not written; a field left empty stays as it is."""
    if not found:
        return
    # Of this generation: a metric that was deleted, by any process, has lost its metadata.
    cache = series_cache.current()
    with cache.lock:
        due = {name: each for name, each in found.items() if cache.metadata.get(name) != each}
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
    # Metadata of a metric without a sample is not cached: it will be sent again.
    # Served by metric_definitions_name_key.
    rows = connection.execute(
        "select name from metric_definitions where name = any(%s)", (names,)
    ).fetchall()
    with cache.lock:
        if len(cache.metadata) + len(due) > _MOST_CACHED:
            cache.metadata.clear()
        cache.metadata.update({name: due[name] for (name,) in rows})
