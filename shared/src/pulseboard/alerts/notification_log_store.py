"""What receivers have been notified of, the alerts that fire, and claims, in the database."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

from pulseboard.alerts.notification_log import Claim, LogEntry, NotifiedFiring, fingerprint
from pulseboard.alerts.notifications import read_receiver, receiver_key
from pulseboard.alerts.state_store import json_text

_LOCK_ID = 7_052_094
"""The advisory lock of claims: any fixed number that nothing else uses."""

KEPT = 86_400
"""Seconds after which an entry without alerts is removed: its group interval has long passed."""

Key = tuple[UUID, str]
"""A rule and a receiver."""


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """An entry, with what a notification needs when its rule or channel is not there any more."""

    entry: LogEntry
    receiver: Mapping[str, Any]
    channel_name: str
    rule: Mapping[str, Any]
    delivery_id: UUID | None = None
    last_error: str | None = None
    unused_since: float | None = None
    """Since when its rule has not used the receiver, while that still has to be notified."""


@dataclass(frozen=True, slots=True)
class FiringRow:
    """A series that fires."""

    series: str
    tags: dict[str, str]
    value: float | None
    reason: str
    started: float
    event_id: UUID | None


@dataclass(frozen=True, slots=True)
class Ending:
    """How an alert ended, by its event."""

    at: float
    value: float | None
    reason: str


def lock(connection: psycopg.Connection[Any]) -> bool:
    """Claim alone until the transaction ends; False while another process does."""
    row = connection.execute("select pg_try_advisory_xact_lock(%s)", (_LOCK_ID,)).fetchone()
    return bool(row and row[0])


def load_firing(connection: psycopg.Connection[Any]) -> dict[UUID, list[FiringRow]]:
    """The firing series of rules that have channels. Served by alert_state_firing."""
    rows = connection.execute(
        """
        select s.rule_id, s.series, s.tags, s.value, s.reason,
          extract(epoch from coalesce(s.fired_at, s.since))::float8, s.event_id
        from alert_state s join alert_rules r on r.id = s.rule_id
        where s.status = 'firing' and r.enabled and r.notification -> 'channels' <> '[]'::jsonb
        """
    ).fetchall()
    found: dict[UUID, list[FiringRow]] = {}
    for row in rows:
        found.setdefault(row[0], []).append(FiringRow(*row[1:]))
    return found


def load_endings(
    connection: psycopg.Connection[Any], *, event_ids: Iterable[UUID]
) -> dict[UUID, Ending]:
    """How alerts ended. Served by alert_events_pkey."""
    rows = connection.execute(
        """
        select id, extract(epoch from resolved_at)::float8, resolved_value, resolved_reason
        from alert_events where id = any(%s::uuid[]) and resolved_at is not null
        """,
        (list(event_ids),),
    ).fetchall()
    return {row[0]: Ending(row[1], row[2], row[3] or "") for row in rows}


_COLUMNS = """
    rule_id, receiver_key, receiver, channel_name, rule, alerts,
    extract(epoch from notified_at)::float8 as notified_at, incomplete, claim_id, claim,
    extract(epoch from claimed_until)::float8 as claimed_until, attempts,
    extract(epoch from next_attempt_at)::float8 as next_attempt_at, last_error, delivery_id,
    extract(epoch from unused_since)::float8 as unused_since
"""


def load_entries(connection: psycopg.Connection[Any]) -> dict[Key, StoredEntry]:
    """All entries, for update. A scan: rules that fire or did a moment ago have them."""
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(f"select {_COLUMNS} from alert_notified for update").fetchall()
    entries = {(row["rule_id"], row["receiver_key"]): _entry(row) for row in rows}
    old = [key for key in entries if key[1].startswith("old:")]
    return _adopted(connection, entries, old) if old else entries


def load_claimed(
    connection: psycopg.Connection[Any], *, claim_ids: Sequence[UUID]
) -> dict[Key, StoredEntry]:
    """The entries of claims, for update. Served by alert_notified_claim."""
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(
            f"select {_COLUMNS} from alert_notified where claim_id = any(%s::uuid[]) for update",
            (list(claim_ids),),
        ).fetchall()
    return {(row["rule_id"], row["receiver_key"]): _entry(row) for row in rows}


def _adopted(
    connection: psycopg.Connection[Any], entries: dict[Key, StoredEntry], old: Sequence[Key]
) -> dict[Key, StoredEntry]:
    """Entries that the migration wrote, under the keys that are computed here."""
    connection.execute(
        "delete from alert_notified where receiver_key = any(%s)", ([key for _, key in old],)
    )
    for key in old:
        stored = entries.pop(key)
        alerts = {fingerprint(alert.labels): alert for alert in stored.entry.alerts.values()}
        receiver = read_receiver(stored.receiver)
        new = (key[0], receiver_key(receiver) if receiver is not None else key[1][4:])
        if new in entries:
            alerts |= entries[new].entry.alerts
        entries[new] = StoredEntry(
            LogEntry(alerts, stored.entry.notified_at),
            stored.receiver,
            stored.channel_name,
            stored.rule,
        )
        put_entries(connection, entries={new: entries[new]})
    return entries


def _entry(row: Mapping[str, Any]) -> StoredEntry:
    claim = row["claim"]
    return StoredEntry(
        LogEntry(
            alerts=_alerts(row["alerts"]),
            notified_at=row["notified_at"],
            incomplete=row["incomplete"],
            claim=None
            if claim is None
            else Claim(
                id=row["claim_id"],
                at=claim["at"],
                firing=_alerts(claim["firing"]),
                resolved=tuple(claim["resolved"]),
                incomplete=claim["incomplete"],
                news=tuple(claim["news"]),
                # Claims of older versions have none.
                doubted=tuple(claim.get("doubted", ())),
            ),
            claimed_until=row["claimed_until"],
            attempts=row["attempts"],
            next_attempt_at=row["next_attempt_at"],
        ),
        receiver=row["receiver"],
        channel_name=row["channel_name"],
        rule=row["rule"],
        delivery_id=row["delivery_id"],
        last_error=row["last_error"],
        unused_since=row["unused_since"],
    )


def _alerts(stored: Mapping[str, Any]) -> dict[str, NotifiedFiring]:
    return {
        key: NotifiedFiring(
            tags=one["tags"],
            labels=one["labels"],
            started=one["started"],
            at=one["at"],
            event_id=UUID(one["event_id"]) if one["event_id"] else None,
            sure=one["sure"],
            # Of older versions: none.
            sent_as=one.get("sent_as", ""),
        )
        for key, one in stored.items()
    }


def put_entries(connection: psycopg.Connection[Any], *, entries: Mapping[Key, StoredEntry]) -> None:
    """Write entries, in a transaction that has read them. Conflicts: alert_notified_pkey."""
    if not entries:
        return
    rows = [
        {
            "rule_id": rule_id,
            "receiver_key": key,
            "receiver": stored.receiver,
            "channel_name": stored.channel_name,
            "rule": stored.rule,
            "alerts": stored.entry.alerts,
            "notified_at": stored.entry.notified_at,
            "incomplete": stored.entry.incomplete,
            "claim_id": stored.entry.claim.id if stored.entry.claim else None,
            "claim": stored.entry.claim,
            "claimed_until": stored.entry.claimed_until,
            "attempts": stored.entry.attempts,
            "next_attempt_at": max(stored.entry.next_attempt_at, 0.0),
            "last_error": stored.last_error,
            "delivery_id": stored.delivery_id,
            "unused_since": stored.unused_since,
        }
        for (rule_id, key), stored in entries.items()
    ]
    connection.execute(
        """
        insert into alert_notified (rule_id, receiver_key, receiver, channel_name, rule, alerts,
          notified_at, incomplete, claim_id, claim, claimed_until, attempts, next_attempt_at,
          last_error, delivery_id, unused_since)
        select w.rule_id, w.receiver_key, w.receiver, w.channel_name, w.rule, w.alerts,
          to_timestamp(w.notified_at), w.incomplete, w.claim_id, nullif(w.claim, 'null'),
          to_timestamp(w.claimed_until), w.attempts, to_timestamp(w.next_attempt_at),
          w.last_error, w.delivery_id, to_timestamp(w.unused_since)
        from jsonb_to_recordset(%s::jsonb) as w (rule_id uuid, receiver_key text, receiver jsonb,
          channel_name text, rule jsonb, alerts jsonb, notified_at float8, incomplete boolean,
          claim_id uuid, claim jsonb, claimed_until float8, attempts integer,
          next_attempt_at float8, last_error text, delivery_id uuid,
          unused_since float8)
        on conflict (rule_id, receiver_key) do update set
          receiver = excluded.receiver, channel_name = excluded.channel_name,
          rule = excluded.rule, alerts = excluded.alerts, notified_at = excluded.notified_at,
          incomplete = excluded.incomplete, claim_id = excluded.claim_id, claim = excluded.claim,
          claimed_until = excluded.claimed_until, attempts = excluded.attempts,
          next_attempt_at = excluded.next_attempt_at, last_error = excluded.last_error,
          delivery_id = excluded.delivery_id, unused_since = excluded.unused_since
        """,
        (json_text(rows),),
    )


def retry_receivers(connection: psycopg.Connection[Any], *, receivers: Sequence[str]) -> None:
    """Try what failed at these receivers again at once. Served by alert_notified_receiver."""
    connection.execute(
        """
        update alert_notified set next_attempt_at = to_timestamp(0)
        where receiver_key = any(%s) and attempts > 0 and claim_id is null
        """,
        (list(receivers),),
    )


def retry_delivery(connection: psycopg.Connection[Any], *, delivery_id: UUID) -> bool:
    """Try again at once what a delivery stands for; False when it stands for nothing any more."""
    return (
        connection.execute(
            """
            update alert_notified
            set next_attempt_at = to_timestamp(0), claimed_until = null, claim_id = null,
              claim = null
            where delivery_id = %s returning 1
            """,
            (delivery_id,),
        ).fetchone()
        is not None
    )


def end_entries(connection: psycopg.Connection[Any], *, keys: Iterable[Key]) -> None:
    """Remove entries, whatever their receivers know. Served by alert_notified_pkey."""
    for rule_id, key in keys:
        connection.execute(
            "delete from alert_notified where rule_id = %s and receiver_key = %s", (rule_id, key)
        )


def prune(connection: psycopg.Connection[Any], *, now: float) -> None:
    """Remove entries without alerts that nothing waits for. A scan of few rows."""
    connection.execute(
        """
        delete from alert_notified
        where alerts = '{}' and claim_id is null
          and coalesce(notified_at, next_attempt_at) < to_timestamp(%s)
        """,
        (now - KEPT,),
    )
