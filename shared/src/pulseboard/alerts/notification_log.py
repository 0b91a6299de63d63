"""What a receiver has been notified of, and what it is to be notified of next. Pure.

One entry for each rule and receiver, as Alertmanager's notification log
(https://prometheus.io/docs/alerting/latest/alertmanager/): the alerts that the receiver believes to
be firing. A notification is due when that differs from what fires; it is planned from the newest
states each time, so that what was missed, failed or is long over is never queued anywhere.

An alert of a rule is identified by its labels, as in Alertmanager: one whose rule is renamed
resolves under the old name and fires under the new one. Two rules may have alerts of equal labels:
receivers are given a fingerprint of rule and labels. What was sent and not acknowledged may have
arrived, whether it said that an alert fires or that it is over: such an alert is not `sure`, and
its receiver is notified again of what is true by then. Times are seconds since 1970.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from uuid import UUID

from pulseboard.catalogue.series_key import canonical_tags


def fingerprint(labels: Mapping[str, str]) -> str:
    """The identity of an alert with these labels among those of its rule."""
    return blake2b(canonical_tags(labels), digest_size=8).hexdigest()


def sent_fingerprint(rule_id: str, labels: Mapping[str, str]) -> str:
    """The identity of an alert among those of all rules, as receivers get it."""
    return blake2b(rule_id.encode() + canonical_tags(labels), digest_size=8).hexdigest()


@dataclass(frozen=True, slots=True)
class FiringAlert:
    """An alert that fires now, since `started`."""

    tags: dict[str, str]
    labels: dict[str, str]
    started: float
    event_id: UUID | None = None
    value: float | None = None
    reason: str = ""
    muted: bool = False
    """Silenced or acknowledged: nobody is notified that it fires."""
    acknowledged: str = ""
    """Who takes care of it, until when, and their note."""


@dataclass(frozen=True, slots=True)
class NotifiedFiring:
    """An alert that a receiver was notified of as firing, last at `at`."""

    tags: dict[str, str]
    labels: dict[str, str]
    started: float
    at: float
    event_id: UUID | None = None
    sure: bool = True
    """Whether that was acknowledged, and nothing was sent since that says it is over."""
    sent_as: str = ""
    """The fingerprint by which the receiver knows it; empty: `fingerprint`, as older versions sent,
    for as long as it fires."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A notification that was handed out to be sent: the alerts in it, by fingerprint."""

    id: UUID
    at: float
    firing: Mapping[str, NotifiedFiring]
    resolved: tuple[str, ...]
    incomplete: bool = False
    """Whether there were more alerts than fit into it."""
    news: tuple[str, ...] = ()
    """The alerts that its receiver had never been notified of."""
    doubted: tuple[str, ...] = ()
    """The alerts that its receiver surely believed to be firing, until this said that they are
    over."""


@dataclass(frozen=True, slots=True)
class LogEntry:
    """What one receiver knows of one rule. `attempts` counts those since the last success."""

    alerts: Mapping[str, NotifiedFiring] = field(default_factory=dict)
    notified_at: float | None = None
    incomplete: bool = False
    claim: Claim | None = None
    claimed_until: float | None = None
    attempts: int = 0
    next_attempt_at: float = float("-inf")


NO_ENTRY = LogEntry()


@dataclass(frozen=True, slots=True)
class Timing:
    """A rule's intervals: before the first, between two, and between repetitions (seconds)."""

    group_wait: float = 0.0
    group_interval: float = 0.0
    repeat: float = 4 * 3600.0


@dataclass(frozen=True, slots=True)
class Due:
    """What to send: fingerprints of alerts that fire and have resolved, the most urgent first."""

    firing: tuple[str, ...]
    resolved: tuple[str, ...]
    urgent: int
    """How many of `firing` are news, or due to be repeated; the others complete the picture."""


def plan(
    entry: LogEntry, firing: Mapping[str, FiringAlert], timing: Timing, at: float
) -> Due | None:
    """What is due at `at`; None while there is nothing, or it has to wait.

    As in Alertmanager, the first alert waits `group_wait` for others; further changes wait until
    `group_interval` after the last notification. That all alerts have resolved is notified at once.
    A muted alert neither fires nor resolves for its receiver.
    """
    if entry.claimed_until is not None and at < entry.claimed_until:
        return None
    if entry.attempts and at < entry.next_attempt_at:
        return None
    known = entry.alerts
    resolved = [one for one in known if one not in firing]
    heard = [one for one, alert in firing.items() if not alert.muted]
    fresh = [one for one in heard if one not in known or not known[one].sure]
    repeated = [
        one
        for one in heard
        if one in known and known[one].sure and at - known[one].at >= timing.repeat
    ]
    shown = [one for one, alert in firing.items() if not alert.muted or one in known]
    rested = (
        entry.incomplete
        or entry.notified_at is None
        or at - entry.notified_at >= timing.group_interval
    )
    waited = bool(fresh) and at - min(firing[one].started for one in fresh) >= timing.group_wait
    if not ((resolved and (rested or not shown)) or (waited and rested) or repeated):
        return None
    repeated.sort(key=lambda one: known[one].at)
    urgent = {*fresh, *repeated}
    others = [one for one in shown if one not in urgent]
    return Due((*fresh, *repeated, *others), tuple(resolved), len(urgent))


def claimed(entry: LogEntry, claim: Claim, *, until: float, wait: float = 0.0) -> LogEntry:
    """The entry after a notification was handed out: its receiver may know of it from now on.

    Without a result it is tried again at `until`, or `wait` seconds after it was handed out, if
    that is later.
    """
    known = entry.alerts
    news = tuple(one for one in claim.firing if one not in known)
    doubted = tuple(one for one in claim.resolved if one in known and known[one].sure)
    unsure = {one: claim.firing[one] for one in news} | {one: known[one] for one in doubted}
    return replace(
        entry,
        alerts={**known, **{one: replace(alert, sure=False) for one, alert in unsure.items()}},
        claim=replace(claim, news=news, doubted=doubted),
        claimed_until=until,
        attempts=entry.attempts + 1,
        next_attempt_at=max(until, claim.at + wait),
    )


def delivered(entry: LogEntry) -> LogEntry:
    """The entry after its claim was acknowledged."""
    claim = entry.claim
    if claim is None:
        return entry
    resolved = set(claim.resolved)
    alerts = {one: alert for one, alert in entry.alerts.items() if one not in resolved}
    return LogEntry(
        alerts={**alerts, **claim.firing},
        notified_at=claim.at,
        incomplete=claim.incomplete,
    )


def failed(entry: LogEntry, *, wait: float, refused: bool) -> LogEntry:
    """The entry after its claim failed; it is tried again `wait` seconds after it was handed out.

    A receiver that `refused` it does not know of it; any other may.
    """
    claim = entry.claim
    if claim is None:
        return entry
    return replace(
        entry,
        alerts=_as_before(entry, claim) if refused else entry.alerts,
        claim=None,
        claimed_until=None,
        next_attempt_at=claim.at + wait,
    )


def not_sent(entry: LogEntry) -> LogEntry:
    """The entry after its claim was not sent: nobody knows of it, and it is due at once."""
    claim = entry.claim
    if claim is None:
        return entry
    return replace(
        entry,
        alerts=_as_before(entry, claim),
        claim=None,
        claimed_until=None,
        attempts=entry.attempts - 1,
        next_attempt_at=claim.at,
    )


def _as_before(entry: LogEntry, claim: Claim) -> dict[str, NotifiedFiring]:
    """What the receiver knew before the claim, which it does not know of."""
    return {
        one: replace(alert, sure=True) if one in claim.doubted else alert
        for one, alert in entry.alerts.items()
        if one not in claim.news
    }


def followed(entry: LogEntry, firing: Mapping[str, FiringAlert]) -> LogEntry:
    """The entry with the newest event of each alert: what resolved and fired again between two
    notifications is one alert to its receiver, and ends with the event that ends last.

    The same entry when there is nothing new.
    """
    alerts = _with_newest(entry.alerts, firing)
    claim = entry.claim
    if claim is not None:
        sent = _with_newest(claim.firing, firing)
        claim = claim if sent is claim.firing else replace(claim, firing=sent)
    if alerts is entry.alerts and claim is entry.claim:
        return entry
    return replace(entry, alerts=alerts, claim=claim)


def _with_newest(
    known: Mapping[str, NotifiedFiring], firing: Mapping[str, FiringAlert]
) -> Mapping[str, NotifiedFiring]:
    newer = {
        one: replace(alert, started=now.started, event_id=now.event_id)
        for one, alert in known.items()
        if (now := firing.get(one)) is not None
        and now.event_id is not None
        and now.event_id != alert.event_id
        # Of two series with equal labels, the later one: the order of rows changes nothing.
        and now.started > alert.started
    }
    return {**known, **newer} if newer else known


def set_apart(entries: Mapping[tuple[UUID, str], LogEntry]) -> dict[tuple[UUID, str], LogEntry]:
    """The entries, by rule and receiver, that hold an alert which their receiver can't tell from
    another rule's, because an older version sent both with one fingerprint. The first rule's keeps
    it; the others are notified again, each with its own.
    """
    taken: set[tuple[str, str]] = set()
    changed: dict[tuple[UUID, str], LogEntry] = {}
    for key in sorted(entries):
        rule_id, receiver = key
        entry = entries[key]
        older = [one for one, alert in entry.alerts.items() if not alert.sent_as]
        shared = {
            one: replace(
                entry.alerts[one],
                sure=False,
                sent_as=sent_fingerprint(str(rule_id), entry.alerts[one].labels),
            )
            for one in older
            if (receiver, one) in taken
        }
        if shared:
            changed[key] = replace(entry, alerts={**entry.alerts, **shared})
        taken |= {(receiver, one) for one in older}
    return changed


def retry_wait(attempts: int, *, first: float, longest: float) -> float:
    """Seconds before the next attempt after so many."""
    return min(longest, first * 2.0 ** min(attempts - 1, 30))


def sent_as(entry: LogEntry, one: str, rule_id: str, labels: Mapping[str, str]) -> str:
    """The fingerprint by which an entry's receiver knows an alert, or is to know it."""
    known = entry.alerts.get(one)
    return sent_fingerprint(rule_id, labels) if known is None else known.sent_as or one


def notified(
    alerts: Mapping[str, FiringAlert],
    chosen: Iterable[str],
    at: float,
    *,
    rule_id: str,
    known: LogEntry,
) -> dict[str, NotifiedFiring]:
    """Alerts as they are known to who is notified of them at `at`, and knew those of `known`."""
    return {
        one: NotifiedFiring(
            alerts[one].tags,
            alerts[one].labels,
            alerts[one].started,
            at,
            alerts[one].event_id,
            sent_as=sent_as(known, one, rule_id, alerts[one].labels),
        )
        for one in chosen
    }
