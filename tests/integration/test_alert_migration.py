"""Notifications of an older version: none is lost by the migration, and none comes twice."""

import json
from typing import Any
from uuid import UUID

import psycopg
import pytest

from pulseboard.alerts import notifier, state_store
from pulseboard.alerts.notifications import SendResult
from pulseboard.db.migrate import available, migrate

HOOK = {"type": "webhook", "url": "http://127.0.0.1:9/a", "secret": "s"}
SAVED = {"type": "saved", "name": "ops"}
NOW = 1_800_000_000.0


def payload(name: str, status: str, host: str) -> dict[str, Any]:
    return {
        "rule_id": "x",
        "rule_name": name,
        "severity": "warning",
        "threshold": 1.0,
        "labels": {},
        "message": "",
        "alerts": [
            {
                "status": status,
                "tags": {"host": host},
                "value": 1.0,
                "reason": "r",
                "started": NOW - 60,
                "ended": NOW if status == "resolved" else None,
            }
        ],
    }


@pytest.mark.race
def test_what_waited_is_sent_once_and_what_was_sent_is_not(plain_database: str) -> None:
    with psycopg.connect(plain_database, autocommit=True) as connection:
        connection.execute("drop database if exists older")
        connection.execute("create database older")
    url = plain_database.rsplit("/", 1)[0] + "/older"
    migrate(url, timeseries=False, migrations=[one for one in available() if one.number < 93])
    with psycopg.connect(url, autocommit=True) as connection:

        def rule(name: str, *channels: dict[str, Any]) -> UUID:
            row = connection.execute(
                "insert into alert_rules (name, query, condition, threshold, notification)"
                " values (%s, 'cpu', 'gt', 1, %s) returning id",
                (name, state_store.as_jsonb({"channels": channels, "group_wait": "0s"})),
            ).fetchone()
            assert row is not None
            found: UUID = row[0]
            return found

        def state(rule_id: UUID, host: str, *, notified: bool) -> None:
            connection.execute(
                """
                insert into alert_state (rule_id, series, tags, status, since, fired_at,
                  notified_at, reason)
                values (%s, %s, %s, 'firing', to_timestamp(%s), to_timestamp(%s),
                  case when %s then to_timestamp(%s) end, 'r')
                """,
                (
                    rule_id,
                    host,
                    state_store.as_jsonb({"host": host}),
                    NOW - 60,
                    NOW - 60,
                    notified,
                    NOW - 60,
                ),
            )

        def queue(rule_id: UUID, channel: dict[str, Any], state: str, **body: Any) -> None:
            connection.execute(
                """
                insert into alert_outbox (rule_id, idempotency_key, group_key, channel, payload,
                  sent_at, dead_at)
                values (%s, gen_random_uuid()::text, 'g', %s, %s,
                  case when %s = 'sent' then now() end, case when %s = 'dead' then now() end)
                """,
                (
                    rule_id,
                    state_store.as_jsonb(channel),
                    state_store.as_jsonb(payload(**body)),
                    state,
                    state,
                ),
            )

        connection.execute(
            "insert into alert_channels (name, config) values ('ops', %s)",
            (state_store.as_jsonb({"type": "slack", "url": "https://hooks.slack.com/ops"}),),
        )
        sent, waits, dead = rule("sent", HOOK), rule("waits", HOOK, SAVED), rule("dead", SAVED)
        for rule_id in (sent, waits, dead):
            state(rule_id, "a", notified=True)
        queue(sent, HOOK, "sent", name="sent", status="firing", host="a")
        queue(waits, HOOK, "sent", name="waits", status="firing", host="a")
        queue(waits, SAVED, "waiting", name="waits", status="firing", host="a")
        queue(dead, SAVED, "dead", name="dead", status="firing", host="a")
        # A rule that was deleted: its last notification was not sent yet.
        queue(UUID(int=1), HOOK, "waiting", name="deleted", status="resolved", host="z")

    migrate(url, timeseries=False)
    with psycopg.connect(url, autocommit=True) as connection:
        claims = notifier.claim(connection, now=NOW)
        found = {}
        for claim in claims:
            body = json.loads(claim.body)
            title = body["alerts"][0]["labels"]["alertname"] if "alerts" in body else body["text"]
            found[title] = body.get("status", "")
        assert found == {
            "deleted": "resolved",
            "[FIRING] waits (host=a)": "",
            "[FIRING] dead (host=a)": "",
        }
        results = [SendResult(id=claim.id, ok=True) for claim in claims]
        notifier.acknowledge(connection, results=results)
        assert notifier.claim(connection, now=NOW + 3600) == []
        names = connection.execute("select name from alert_channels order by 1").fetchall()
        assert names == [("ops",), ("webhook 127.0.0.1:9",)]
        # All end: each receiver that was notified is notified of it.
        connection.execute("delete from alert_state")
        ended = notifier.claim(connection, now=NOW + 3700)
        assert len(ended) == 4
