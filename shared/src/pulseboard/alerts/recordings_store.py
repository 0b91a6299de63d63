"""Recording rules and groups of rules: as the API shows and changes them, and as a tick reads them.

Whoever changes them calls `state_store.rules_changed`, so that the next tick reads them again.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

from pulseboard.alerts.recording import RecordingSnapshot
from pulseboard.alerts.state_machine import TICK
from pulseboard.alerts.state_store import as_jsonb
from pulseboard.catalogue.series_key import SeriesKey
from pulseboard.contracts.base import format_interval, interval_seconds
from pulseboard.contracts.recordings import (
    RecordingRule,
    RecordingRuleFields,
    RuleGroup,
    RuleGroupFields,
)
from pulseboard.core.exceptions import Conflict, InvalidRequest, NotFound
from pulseboard.core.settings import settings

_SELECT = """
    select r.id, r.owner_id, r.name, r.query, r.labels, r.group_name, r.position, r.enabled,
      r.source, r.version, r.last_error, r.created_at, r.updated_at,
      extract(epoch from g.eval_interval)::float8 as seconds,
      (select count(*) from recorded_series s where s.rule_id = r.id) as series,
      (select tick from alert_ticks) as tick
    from recording_rules r
    left join rule_groups g on g.name = r.group_name
"""


def _rule(row: dict[str, Any]) -> RecordingRule:
    seconds = row.pop("seconds") or float(settings().recording_interval)
    tick, group = row.pop("tick"), row.pop("group_name")
    evaluated = None
    if row["enabled"] and tick is not None and tick >= 0:
        # The first tick at or after the newest multiple of the interval.
        due = -(-(tick * TICK // seconds * seconds) // TICK) * TICK
        at = datetime.fromtimestamp(min(due, tick * TICK), UTC)
        evaluated = at if at >= row["created_at"] else None
    return RecordingRule.model_validate(
        {
            **row,
            "group": group,
            "interval": format_interval(seconds),
            "last_evaluated_at": evaluated,
        }
    )


def get_rule(connection: psycopg.Connection[Any], *, rule_id: UUID) -> RecordingRule:
    """A rule. Raises NotFound. Served by recording_rules_pkey and recorded_series_pkey."""
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(f"{_SELECT} where r.id = %s", (rule_id,)).fetchone()
    if row is None:
        raise NotFound("There is no such recording rule.")
    return _rule(row)


def list_rules(
    connection: psycopg.Connection[Any], *, search: str, page: int, page_size: int
) -> tuple[list[RecordingRule], int]:
    """A page of rules in the order of their groups, and how many there are: those whose name, query
    or group contain each word of `search`. A scan of the rules.
    """
    condition = "(r.name || ' ' || r.query || ' ' || r.group_name) ilike all (%(p)s::text[])"
    escaped = str.maketrans({"\\": "\\\\", "%": "\\%", "_": "\\_"})
    wanted = {
        "p": [f"%{word.translate(escaped)}%" for word in search.split()],
        "limit": page_size,
        "offset": (page - 1) * page_size,
    }
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(
            f"{_SELECT} where {condition} order by r.group_name, r.position, r.name, r.id"
            " limit %(limit)s offset %(offset)s",
            wanted,
        ).fetchall()
        total = cursor.execute(
            f"select count(*) as total from recording_rules r where {condition}", wanted
        ).fetchone()
    return [_rule(row) for row in rows], total["total"] if total else 0


def _columns(fields: RecordingRuleFields) -> dict[str, Any]:
    return {**fields.model_dump(), "labels": as_jsonb(fields.labels)}


def create_rule(
    connection: psycopg.Connection[Any], *, owner_id: UUID, fields: RecordingRuleFields
) -> RecordingRule:
    """Add a rule, after `rules_changed`. Raises InvalidRequest when there are too many."""
    most = settings().recording_max_rules
    row = connection.execute("select count(*) from recording_rules").fetchone()
    if row is not None and row[0] >= most:
        raise InvalidRequest(f"There are {row[0]} recording rules; {most} are allowed.")
    created = connection.execute(
        """
        insert into recording_rules
          (owner_id, name, query, labels, group_name, position, enabled, source)
        values (%(owner)s, %(name)s, %(query)s, %(labels)s, %(group)s, %(position)s,
          %(enabled)s, %(source)s)
        returning id
        """,
        {"owner": owner_id, **_columns(fields)},
    ).fetchone()
    assert created is not None, "an insert without a conflict clause returns its row"
    return get_rule(connection, rule_id=created[0])


def put_rule(
    connection: psycopg.Connection[Any], *, rule_id: UUID, version: int, fields: RecordingRuleFields
) -> RecordingRule:
    """Write a rule over its `version`, after `rules_changed`. Raises Conflict, NotFound.

    Served by recording_rules_pkey.
    """
    row = connection.execute(
        """
        update recording_rules set name = %(name)s, query = %(query)s, labels = %(labels)s,
          group_name = %(group)s, position = %(position)s, enabled = %(enabled)s,
          source = %(source)s, version = version + 1, updated_at = now(), last_error = null
        where id = %(id)s and version = %(version)s
        returning 1
        """,
        {"id": rule_id, "version": version, **_columns(fields)},
    ).fetchone()
    if row is None:
        raise Conflict("Somebody else has changed this rule. Load it again.")
    return get_rule(connection, rule_id=rule_id)


def delete_rule(connection: psycopg.Connection[Any], *, rule_id: UUID) -> None:
    """Remove a rule, after `rules_changed`; what it wrote stays. Raises NotFound."""
    row = connection.execute(
        "delete from recording_rules where id = %s returning 1", (rule_id,)
    ).fetchone()
    if row is None:
        raise NotFound("There is no such recording rule.")


def list_groups(connection: psycopg.Connection[Any]) -> list[RuleGroup]:
    """The groups that are described or that a rule names. Scans of the rules."""
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(
            """
            select n.name, extract(epoch from g.eval_interval)::float8 as seconds,
              extract(epoch from coalesce(g.query_offset, '0'))::float8 as back,
              coalesce(g.series_limit, 0) as limit,
              coalesce(a.count, 0) as alerting, coalesce(r.count, 0) as recording
            from (
              select name from rule_groups union select group_name from alert_rules
              union select group_name from recording_rules
            ) n
            left join rule_groups g on g.name = n.name
            left join (select group_name, count(*) from alert_rules group by 1) a
              on a.group_name = n.name
            left join (select group_name, count(*) from recording_rules group by 1) r
              on r.group_name = n.name
            order by n.name
            """
        ).fetchall()
    return [
        RuleGroup(
            name=row["name"],
            interval=None if row["seconds"] is None else format_interval(row["seconds"]),
            query_offset=format_interval(row["back"]),
            limit=row["limit"],
            alerting=row["alerting"],
            recording=row["recording"],
        )
        for row in rows
    ]


def put_group(connection: psycopg.Connection[Any], *, fields: RuleGroupFields) -> None:
    """Describe a group, after `rules_changed`. Conflicts are found by rule_groups_pkey."""
    connection.execute(
        """
        insert into rule_groups (name, eval_interval, query_offset, series_limit)
        values (%(name)s, %(interval)s, %(offset)s, %(limit)s)
        on conflict (name) do update set eval_interval = excluded.eval_interval,
          query_offset = excluded.query_offset, series_limit = excluded.series_limit,
          updated_at = now()
        """,
        {
            "name": fields.name,
            "interval": None
            if fields.interval is None
            else timedelta(seconds=interval_seconds(fields.interval)),
            "offset": timedelta(seconds=interval_seconds(fields.query_offset)),
            "limit": fields.limit,
        },
    )


def load(
    connection: psycopg.Connection[Any], *, rule_id: UUID | None = None
) -> list[RecordingSnapshot]:
    """Enabled rules in the order in which their groups evaluate them; or one, enabled or not. A
    scan, or served by recording_rules_pkey."""
    rows = connection.execute(
        """
        select r.id, r.name, r.query, coalesce(extract(epoch from g.eval_interval)::float8, %(d)s),
          r.labels, r.group_name, coalesce(extract(epoch from g.query_offset)::float8, 0),
          coalesce(g.series_limit, 0), r.last_error, r.version
        from recording_rules r left join rule_groups g on g.name = r.group_name
        where (%(id)s::uuid is null and r.enabled) or r.id = %(id)s
        order by r.group_name, r.position, r.created_at, r.id
        """,
        {"d": float(settings().recording_interval), "id": rule_id},
    ).fetchall()
    return [RecordingSnapshot(*row) for row in rows]


Recorded = dict[UUID, dict[bytes, SeriesKey]]
"""By rule, the series that it wrote last."""


def load_recorded(connection: psycopg.Connection[Any]) -> Recorded:
    """What each rule wrote last. A scan."""
    recorded: Recorded = {}
    for rule_id, name, tags in connection.execute(
        "select rule_id, name, tags from recorded_series"
    ):
        key = SeriesKey(name, tags.encode())
        recorded.setdefault(rule_id, {})[key.identity] = key
    return recorded


def write_recorded(
    connection: psycopg.Connection[Any],
    *,
    added: Sequence[tuple[UUID, SeriesKey]],
    removed: Sequence[tuple[UUID, SeriesKey]],
    errors: Mapping[UUID, str | None],
) -> None:
    """What has changed of it, and of the rules' errors, in one transaction. Served by
    recorded_series_pkey and recording_rules_pkey."""
    if not (added or removed or errors):
        return
    with connection.transaction():
        if removed:
            connection.execute(
                """
                delete from recorded_series s
                using unnest(%s::uuid[], %s::bytea[]) as w (rule_id, identity)
                where s.rule_id = w.rule_id and s.identity = w.identity
                """,
                ([one for one, _ in removed], [key.identity for _, key in removed]),
            )
        if added:
            connection.execute(
                """
                insert into recorded_series (rule_id, identity, name, tags)
                select * from unnest(%s::uuid[], %s::bytea[], %s::text[], %s::text[])
                on conflict do nothing
                """,
                (
                    [one for one, _ in added],
                    [key.identity for _, key in added],
                    [key.name for _, key in added],
                    [key.tags.decode() for _, key in added],
                ),
            )
        if errors:
            connection.execute(
                """
                update recording_rules r set last_error = w.error
                from unnest(%s::uuid[], %s::text[]) as w (id, error) where r.id = w.id
                """,
                (list(errors), list(errors.values())),
            )
