"""Claims the notifications that are due, rendered from the newest states, and takes their results.

    load (states, log, rules, channels, silences) → plan (pure) → render → write the log

`notify` sends what is claimed here, outside the VPC, and what became of it is acknowledged here. A
claim ends by itself: what is not acknowledged by then is planned anew, from what is true then.
"""

import hashlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import psycopg

from pulseboard.alerts import (
    channels_store,
    events_store,
    notification_log,
    outbox_store,
    silences_store,
    state_store,
)
from pulseboard.alerts import notification_log_store as log_store
from pulseboard.alerts.channels_store import KnownChannel
from pulseboard.alerts.notification_log import (
    NO_ENTRY,
    Claim,
    Due,
    FiringAlert,
    LogEntry,
    Timing,
    fingerprint,
)
from pulseboard.alerts.notification_log_store import Ending, FiringRow, Key, StoredEntry
from pulseboard.alerts.notifications import (
    MAX_ALERTS,
    NotificationPayload,
    NotifiedAlert,
    Outgoing,
    SendResult,
    describe_acknowledgement,
    labels_of,
    payload_of,
    read_receiver,
    receiver_key,
    render,
    render_digest,
    revealed,
    silenced,
    takes_digests,
)
from pulseboard.alerts.outbox_store import Delivery
from pulseboard.alerts.state_machine import Condition, RuleSnapshot
from pulseboard.contracts.alerts import (
    AlertAcknowledgement,
    AlertCondition,
    AlertSeverity,
    SilenceMatcher,
)
from pulseboard.contracts.channels import WebhookChannel
from pulseboard.core.observability import logger
from pulseboard.core.settings import settings
from pulseboard.db import database
from pulseboard.db.isolated_writes import write_isolated

MOST_IN_A_WEBHOOK = 500
"""Alerts in one body of a webhook; the others are in the next."""

PROBES = 2
"""Notifications to a receiver that failed last time, at once: the others wait for them."""

_URGENCY = {AlertSeverity.CRITICAL: 0, AlertSeverity.WARNING: 1, AlertSeverity.INFO: 2}


@dataclass(frozen=True, slots=True)
class _Group:
    """A rule's notification to a receiver that is due."""

    key: Key
    rule: RuleSnapshot
    channel: KnownChannel
    stored: StoredEntry | None
    firing: Mapping[str, FiringAlert]
    due: Due

    @property
    def entry(self) -> LogEntry:
        """What its receiver knows."""
        return self.stored.entry if self.stored else NO_ENTRY

    @property
    def order(self) -> tuple[int, float]:
        started = (self.firing[one].started for one in self.due.firing)
        return _URGENCY[self.rule.severity], min(started, default=0.0)

    @property
    def failures(self) -> int:
        """The attempts since its receiver last took a notification of it."""
        return self.entry.attempts


@dataclass(frozen=True, slots=True)
class _Claimed:
    """A claim as it is stored: the log's entries, and the delivery that people see."""

    outgoing: Outgoing
    entries: Mapping[Key, StoredEntry]
    delivery: Delivery
    superseded: Sequence[UUID]


@dataclass(frozen=True, slots=True)
class _Part:
    """What of a group is in a notification."""

    group: _Group
    payload: NotificationPayload
    firing: tuple[str, ...]
    resolved: tuple[str, ...]
    incomplete: bool = False


def claim(connection: psycopg.Connection[Any], *, now: float) -> list[Outgoing]:
    """Claim what is due, the most urgent first, bounded in number and in bytes; what one receiver
    is to get of many rules at once becomes digests. Empty while another process claims.
    """
    with connection.transaction():
        state_store.bound_transaction(connection)
        if not log_store.lock(connection):
            return []
        claimed = outbox_store.claim_tests(connection, now=now)
        batch = _Batch(connection, now, claimed)
        batch.fill(_due(connection, now))
        batch.write()
        return batch.claims


def _due(connection: psycopg.Connection[Any], now: float) -> list[_Group]:
    entries = log_store.load_entries(connection)
    apart = notification_log.set_apart({key: stored.entry for key, stored in entries.items()})
    changed = {key: replace(entries[key], entry=entry) for key, entry in apart.items()}
    entries |= changed
    firing = log_store.load_firing(connection)
    ids = {*firing, *(rule_id for rule_id, _ in entries)}
    if not ids:
        return []
    rules = {rule.id: rule for rule in state_store.load_rules(connection, rule_ids=list(ids))}
    # What fires for a rule that can't be read is not over: it waits until it can.
    ids -= state_store.enabled_ids(connection, rule_ids=ids - rules.keys())
    channels = channels_store.known_channels(connection)
    silences = silences_store.active(connection, at=now)
    acknowledged = events_store.active_acknowledgements(connection, at=now)
    of_rule: dict[UUID, list[str]] = {}
    for rule_id, key in entries:
        of_rule.setdefault(rule_id, []).append(key)
    found: list[_Group] = []
    given_up: dict[Key, StoredEntry] = {}
    for rule_id in ids:
        rule = rules.get(rule_id)
        alerts = (
            {} if rule is None else _alerts(rule, firing.get(rule_id, ()), silences, acknowledged)
        )
        receivers: dict[str, KnownChannel] = {}
        for reference in rule.channels if rule is not None else ():
            known = channels.get(str(reference.get("id")))
            if known is not None:
                receivers[receiver_key(known.receiver)] = known
        for key in {*receivers, *of_rule.get(rule_id, ())}:
            stored = entries.get((rule_id, key))
            current = alerts if key in receivers else {}
            if stored is not None:
                before = stored
                stored = _followed(before, current, used=key in receivers, now=now)
                if stored is not before:
                    changed[rule_id, key] = stored
                if _hopeless(stored, now):
                    given_up[rule_id, key] = stored
                    continue
            channel = receivers.get(key) or _former_channel(stored)
            if channel is None:
                continue
            timing = Timing(rule.group_wait, rule.group_interval, rule.repeat) if rule else Timing()
            due = notification_log.plan(stored.entry if stored else NO_ENTRY, current, timing, now)
            if due is not None:
                snapshot = rule or _former_rule(rule_id, stored)
                found.append(_Group((rule_id, key), snapshot, channel, stored, current, due))
    log_store.put_entries(connection, entries=changed)
    _give_up(connection, given_up, rules)
    return sorted(found, key=lambda group: group.order)


def _followed(
    stored: StoredEntry, firing: Mapping[str, FiringAlert], *, used: bool, now: float
) -> StoredEntry:
    """What is stored, with the newest events, and since when its rule has not used the receiver,
    that still has to be notified. The same when there is nothing new.
    """
    entry = notification_log.followed(stored.entry, firing)
    since = None
    if not used and entry.alerts:
        since = now if stored.unused_since is None else stored.unused_since
    if entry is stored.entry and since == stored.unused_since:
        return stored
    return replace(stored, entry=entry, unused_since=since)


def _hopeless(stored: StoredEntry, now: float) -> bool:
    """Whether a receiver that its rule does not use any more has failed for `alert_give_up`."""
    if stored.unused_since is None or now - stored.unused_since < settings().alert_give_up:
        return False
    entry = stored.entry
    if entry.claimed_until is not None and now < entry.claimed_until:
        return False
    return entry.attempts > 0 or _former_channel(stored) is None


def _give_up(
    connection: psycopg.Connection[Any],
    given_up: Mapping[Key, StoredEntry],
    rules: Mapping[UUID, RuleSnapshot],
) -> None:
    """End what these receivers still have to be notified of. Each is logged, and its delivery is a
    dead letter.
    """
    errors: dict[UUID, str] = {}
    for (rule_id, _), stored in given_up.items():
        why = "does not use the channel any more" if rule_id in rules else "is deleted or disabled"
        if stored.delivery_id is not None:
            last = stored.last_error or "no response"
            errors[stored.delivery_id] = f"given up, as the rule {why}; {last}"
        logger().warning(
            "a receiver that is not used any more is given up",
            extra={
                "rule": str(rule_id),
                "channel": stored.channel_name,
                "attempts": stored.entry.attempts,
                "alerts": len(stored.entry.alerts),
                "error": stored.last_error,
            },
        )
    log_store.end_entries(connection, keys=given_up)
    outbox_store.give_up(connection, errors=errors)


def _alerts(
    rule: RuleSnapshot,
    rows: Iterable[FiringRow],
    silences: list[list[SilenceMatcher]],
    acknowledged: Mapping[UUID, AlertAcknowledgement],
) -> dict[str, FiringAlert]:
    alerts = {}
    for row in rows:
        labels = labels_of(
            rule.name,
            rule.severity,
            rule.labels,
            row.tags,
            value=row.value,
            threshold=rule.condition.threshold,
        )
        care = acknowledged.get(row.event_id) if row.event_id is not None else None
        alerts[fingerprint(labels)] = FiringAlert(
            row.tags,
            labels,
            row.started,
            row.event_id,
            row.value,
            row.reason,
            muted=care is not None or (bool(silences) and silenced(labels, silences)),
            acknowledged="" if care is None else describe_acknowledgement(care),
        )
    return alerts


def _former_channel(stored: StoredEntry | None) -> KnownChannel | None:
    if stored is None:
        return None
    receiver = read_receiver(stored.receiver)
    return None if receiver is None else KnownChannel("", stored.channel_name, receiver)


def _former_rule(rule_id: UUID, stored: StoredEntry | None) -> RuleSnapshot:
    known = stored.rule if stored is not None else {}
    return RuleSnapshot(
        id=rule_id,
        name=known.get("name", ""),
        query="",
        condition=_former_condition(known.get("threshold")),
        severity=AlertSeverity(known.get("severity", "warning")),
        labels=known.get("labels", {}),
        message=known.get("message", ""),
        runbook_url=known.get("runbook_url", ""),
    )


def _former_condition(threshold: float | None) -> Condition:
    compares = AlertCondition.GT if threshold is not None else AlertCondition.RETURNED
    return Condition(compares, threshold)


class _Batch:
    """The claims of one run, and what they change."""

    def __init__(
        self, connection: psycopg.Connection[Any], now: float, claimed: list[Outgoing]
    ) -> None:
        self.connection = connection
        self.now = now
        self.until = now + settings().alert_claim_lease
        # By the clock of whoever sends, which is no tick's.
        self.not_after = time.time() + settings().alert_claim_lease
        self.claims = claimed
        self._size = sum(_size(one) for one in claimed)
        self._endings: dict[UUID, Ending] = {}
        self._made: list[_Claimed] = []

    def fill(self, groups: Sequence[_Group]) -> None:
        """Claim of these groups, in their order, as many as fit."""
        ended = [
            alert.event_id
            for group in groups
            if group.stored
            for one in group.due.resolved
            if (alert := group.stored.entry.alerts[one]).event_id is not None
        ]
        self._endings = log_store.load_endings(self.connection, event_ids=ended) if ended else {}
        by_receiver: dict[str, list[_Group]] = {}
        for group in groups:
            by_receiver.setdefault(group.key[1], []).append(group)
        done: set[str] = set()
        for group in groups:
            key = group.key[1]
            if key in done:
                continue
            mine = by_receiver[key]
            if len(mine) >= settings().alert_digest_from and takes_digests(group.channel.receiver):
                done.add(key)
                self._apart(mine, partial(self._digest, mine))
                continue
            if any(one.stored and one.stored.last_error for one in mine):
                done.add(key)
                for one in mine[:PROBES]:
                    self._apart([one], partial(self._single, one))
                continue
            self._apart([group], partial(self._single, group))

    def _apart(self, groups: Sequence[_Group], claim: Callable[[], object]) -> None:
        """Claim of these groups; one that can't be rendered keeps none of the others back."""
        try:
            claim()
        except Exception as error:
            if database.is_outage(error):
                raise
            _not_made([group.rule.id for group in groups], error)

    def _single(self, group: _Group) -> None:
        webhook = isinstance(group.channel.receiver, WebhookChannel)
        most = MOST_IN_A_WEBHOOK if webhook else MAX_ALERTS
        largest = settings().alert_claim_bytes // 2
        while True:
            part = self._part(group, most, names_all=webhook)
            outgoing = self._render([part])
            if _size(outgoing) <= largest or most == 1:
                break
            most = max(1, most // 2)
        self._add(outgoing, [part])

    def _digest(self, groups: Sequence[_Group]) -> None:
        """One notification for all; for webhooks as many as are needed to name every alert."""
        receiver = groups[0].channel.receiver
        parts = [self._part(group, MAX_ALERTS, names_all=False) for group in groups]
        if not isinstance(receiver, WebhookChannel):
            self._add(self._render(parts), parts)
            return
        parts = [self._part(group, MOST_IN_A_WEBHOOK, names_all=True) for group in groups]
        per_claim = len(parts)
        while parts:
            some = parts[:per_claim]
            if len(some) == 1:
                self._single(some[0].group)
                del parts[:1]
                continue
            outgoing = self._render(some)
            if _size(outgoing) > settings().alert_claim_bytes // 2:
                per_claim = max(1, len(some) // 2)
                continue
            if not self._add(outgoing, some):
                return
            del parts[:per_claim]

    def _part(self, group: _Group, most: int, *, names_all: bool) -> _Part:
        """As much of a group as fits: `names_all`: what is not named was not notified."""
        due = group.due
        known = group.entry.alerts
        resolved, firing = due.resolved, due.firing
        if names_all:
            resolved = resolved[:most]
            firing = firing[: max(0, most - len(resolved))]
        alerts = [
            NotifiedAlert(
                status="firing",
                tags=alert.tags,
                labels=alert.labels,
                value=alert.value,
                reason=alert.reason,
                started=alert.started,
                acknowledged=alert.acknowledged,
                fingerprint=notification_log.sent_as(
                    group.entry, one, str(group.rule.id), alert.labels
                ),
            )
            for one in firing
            for alert in (group.firing[one],)
        ]
        for one in resolved:
            alert = known[one]
            ending = self._endings.get(alert.event_id) if alert.event_id else None
            alerts.append(
                NotifiedAlert(
                    status="resolved",
                    tags=alert.tags,
                    labels=alert.labels,
                    value=ending.value if ending else None,
                    reason=ending.reason if ending else "it is not notified here any more",
                    started=alert.started,
                    ended=ending.at if ending else self.now,
                    fingerprint=alert.sent_as or one,
                )
            )
        left = len(due.resolved) > len(resolved) or due.urgent > len(firing)
        return _Part(
            group, payload_of(group.rule, alerts, most=most), firing, resolved, incomplete=left
        )

    def _render(self, parts: Sequence[_Part]) -> Outgoing:
        first = parts[0].group
        configured = settings()
        claim_id = str(uuid4())
        key = _idempotency_key(parts)
        if len(parts) == 1:
            rendered = render(
                parts[0].payload,
                first.channel.receiver,
                outbox_id=claim_id,
                key=key,
                group=f"{first.rule.id}:{first.key[1]}",
                name=first.channel.name,
                now=self.now,
                public_url=configured.public_url or "",
                pagerduty_url=configured.alert_pagerduty_url,
            )
        else:
            rendered = render_digest(
                [part.payload for part in parts],
                first.channel.receiver,
                outbox_id=claim_id,
                key=key,
                group=f"digest:{first.key[1]}:{_digest_of(part.group.rule.id for part in parts)}",
                name=first.channel.name,
                now=self.now,
                public_url=configured.public_url or "",
            )
        failures = max(part.group.failures for part in parts)
        return rendered.model_copy(update={"not_after": self.not_after, "failures": failures})

    def _add(self, outgoing: Outgoing, parts: Sequence[_Part]) -> bool:
        """Claim this one, if it fits."""
        configured = settings()
        size = _size(outgoing)
        full = (
            len(self.claims) >= configured.alert_claim_limit
            or self._size + size > configured.alert_claim_bytes
        )
        if full and self.claims:
            return False
        self._size += size
        self.claims.append(outgoing)
        former = {
            part.group.stored.delivery_id
            for part in parts
            if part.group.stored and part.group.stored.delivery_id is not None
        }
        delivery_id = former.pop() if len(parts) == 1 and former else uuid4()
        entries = {
            part.group.key: self._entry(part, UUID(outgoing.id), delivery_id) for part in parts
        }
        delivery = _delivery(delivery_id, outgoing, parts)
        self._made.append(_Claimed(outgoing, entries, delivery, tuple(former)))
        return True

    def _entry(self, part: _Part, claim_id: UUID, delivery_id: UUID) -> StoredEntry:
        group = part.group
        rule, entry = group.rule, group.entry
        made = Claim(
            claim_id,
            self.now,
            notification_log.notified(
                group.firing, part.firing, self.now, rule_id=str(rule.id), known=entry
            ),
            part.resolved,
            part.incomplete,
        )
        configured = settings()
        wait = notification_log.retry_wait(
            entry.attempts + 1,
            first=configured.alert_first_retry,
            longest=configured.alert_longest_retry,
        )
        return StoredEntry(
            notification_log.claimed(entry, made, until=self.until, wait=wait),
            receiver=revealed(group.channel.receiver),
            channel_name=group.channel.name,
            rule={
                "name": rule.name,
                "severity": rule.severity,
                "threshold": rule.condition.threshold,
                "labels": dict(rule.labels),
                "message": rule.message,
                "runbook_url": rule.runbook_url,
            },
            delivery_id=delivery_id,
            last_error=group.stored.last_error if group.stored else None,
            unused_since=group.stored.unused_since if group.stored else None,
        )

    def write(self) -> None:
        """Write the claims: the log, and the deliveries that people see. One that can't be stored
        is not sent, and keeps none of the others back.
        """
        for made, error in write_isolated(self.connection, self._made, self._put):
            self.claims.remove(made.outgoing)
            _not_made([rule_id for rule_id, _ in made.entries], error)

    def _put(self, made: Sequence[_Claimed]) -> None:
        log_store.put_entries(
            self.connection, entries={key: x for one in made for key, x in one.entries.items()}
        )
        outbox_store.put_deliveries(
            self.connection,
            deliveries=[one.delivery for one in made],
            superseded=[former for one in made for former in one.superseded],
        )


def _not_made(rule_ids: Iterable[UUID], error: Exception) -> None:
    rules = ", ".join(map(str, rule_ids))
    logger().error("a notification can't be made", extra={"rules": rules}, exc_info=error)


def _size(outgoing: Outgoing) -> int:
    """Bytes on the way to `notify`, which is what Step Functions bounds."""
    return len(outgoing.model_dump_json(by_alias=True).encode())


def _digest_of(rule_ids: Iterable[UUID]) -> str:
    """The same for the same rules: a digest of others is another group to its receiver."""
    return hashlib.sha256(repr(sorted(map(str, rule_ids))).encode()).hexdigest()[:16]


def _idempotency_key(parts: Sequence[_Part]) -> str:
    """The same for the same news: what may have arrived and is sent again has the same key."""
    text = repr(
        [
            (
                part.group.key,
                part.group.entry.notified_at,
                sorted(part.firing),
                sorted(part.resolved),
            )
            for part in parts
        ]
    )
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _delivery(delivery_id: UUID, outgoing: Outgoing, parts: Sequence[_Part]) -> Delivery:
    first = parts[0].group
    payload = parts[0].payload
    if len(parts) > 1:
        payload = NotificationPayload(
            rule_id="",
            rule_name=f"{len(parts):,} rules",
            severity=payload.severity,
            threshold=None,
            alerts=payload.alerts[:1],
        )
    return Delivery(
        id=delivery_id,
        rule_id=first.rule.id if len(parts) == 1 else None,
        key=outgoing.idempotency_key,
        channel=channels_store.described(first.channel),
        payload=payload,
        firing=sum(len(part.firing) for part in parts),
        resolved=sum(len(part.resolved) for part in parts),
    )


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What became of a claim; a test has no entries."""

    claim_id: UUID
    result: SendResult
    entries: Mapping[Key, StoredEntry]


def acknowledge(connection: psycopg.Connection[Any], *, results: Sequence[SendResult]) -> None:
    """Record the results of claims. A result that comes again, or too late, changes nothing.

    A failure is tried again after `alert_first_retry`, doubled each time; one that is permanent, or
    the last try, is shown as a dead letter, and tried again each `alert_longest_retry`. What was
    not sent is no failure, and due at once. A receiver that takes a notification is tried at once
    with all that it failed to take before. A result that can't be stored is a failure of its
    notification, and of no other.
    """
    by_id = _by_claim(results)
    with connection.transaction():
        state_store.bound_transaction(connection)
        claimed: dict[UUID, dict[Key, StoredEntry]] = {claim_id: {} for claim_id in by_id}
        for key, stored in log_store.load_claimed(connection, claim_ids=list(by_id)).items():
            if stored.entry.claim is not None:
                claimed[stored.entry.claim.id][key] = stored
        outcomes = [_Outcome(one, result, claimed[one]) for one, result in by_id.items()]
        put = partial(_put_outcomes, connection)
        unstored = write_isolated(connection, outcomes, put)
        again = []
        for outcome, error in unstored:
            logger().error(
                "a notification's result is not stored as it came",
                extra={"notification": str(outcome.claim_id)},
                exc_info=error,
            )
            text = f"its result can't be stored ({type(error).__name__}); the logs say more"
            reported = None if outcome.result.ok else text
            again.append(
                replace(outcome, result=outcome.result.model_copy(update={"error": reported}))
            )
        lost = {one.claim_id for one, _ in write_isolated(connection, again, put)}
        works = {
            receiver
            for one in outcomes
            if one.result.ok and one.claim_id not in lost
            for _, receiver in one.entries
        }
        if works:
            log_store.retry_receivers(connection, receivers=sorted(works))


def _by_claim(results: Iterable[SendResult]) -> dict[UUID, SendResult]:
    found = {}
    for one in results:
        try:
            found[UUID(one.id)] = one
        except ValueError:
            logger().error("a result names no notification", extra={"notification": one.id})
    return found


def _put_outcomes(connection: psycopg.Connection[Any], outcomes: Sequence[_Outcome]) -> None:
    after: dict[Key, StoredEntry] = {}
    deliveries: dict[UUID, SendResult] = {}
    for one in outcomes:
        deliveries[one.claim_id] = one.result
        for key, stored in one.entries.items():
            if stored.delivery_id is not None:
                deliveries[stored.delivery_id] = one.result
            after[key] = _acknowledged(stored, one.result)
    log_store.put_entries(connection, entries=after)
    outbox_store.record_outcomes(connection, outcomes=deliveries)


def _acknowledged(stored: StoredEntry, result: SendResult) -> StoredEntry:
    """An entry after its claim was acknowledged with this result."""
    if result.ok:
        entry = notification_log.delivered(stored.entry)
        return replace(stored, entry=entry, delivery_id=None, last_error=None)
    if not result.sent:
        return replace(stored, entry=notification_log.not_sent(stored.entry))
    configured = settings()
    wait = notification_log.retry_wait(
        stored.entry.attempts,
        first=configured.alert_longest_retry if result.permanent else configured.alert_first_retry,
        longest=configured.alert_longest_retry,
    )
    entry = notification_log.failed(stored.entry, wait=wait, refused=result.permanent)
    return replace(stored, entry=entry, last_error=(result.error or "")[:500])
