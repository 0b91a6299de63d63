"""Runs recording rules at a tick, and writes what they return, and alerts, as series.

Samples go through the ingest path: limits, rollups, late marks and the spill hold for them, too. A
tick that runs twice writes the same samples again, which changes nothing. A series that a rule
wrote last and does not write any more gets a stale marker; so do those of a rule that is gone.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import psycopg

from pulseboard.alerts import recordings_store
from pulseboard.alerts.changes import InstanceRecord
from pulseboard.alerts.inputs import ReadOnce
from pulseboard.alerts.notifications import labels_of
from pulseboard.alerts.read_turns import LeftOver
from pulseboard.alerts.recording import Output, RecordingSnapshot, metrics_of, output, stages
from pulseboard.alerts.recordings_store import Recorded
from pulseboard.alerts.state_machine import RuleSnapshot
from pulseboard.alerts.threshold_index import RuleIndex
from pulseboard.catalogue.series_key import SeriesKey
from pulseboard.contracts.alerts import AlertStatus
from pulseboard.core.exceptions import PulseboardError, Unavailable
from pulseboard.core.observability import logger
from pulseboard.core.settings import settings
from pulseboard.db import database
from pulseboard.ingest import write_path
from pulseboard.ingest.batch import Batch

_BATCH = 50_000
"""Samples that are written at once, as far as rules are not larger."""

_ACTIVE = {AlertStatus.PENDING: "pending", AlertStatus.FIRING: "firing"}
ALERTS, ALERTS_FOR_STATE = "ALERTS", "ALERTS_FOR_STATE"


@dataclass
class RecorderCache:
    """Recording rules, and the series that rules wrote last, as this process cached them."""

    rules: list[RecordingSnapshot]
    recorded: Recorded
    keys: dict[UUID, dict[str, SeriesKey]] = field(default_factory=dict)
    """By recording rule, its series by what they are observed as."""
    of_alerts: dict[tuple[UUID, str], tuple[InstanceRecord, int, SeriesKey, SeriesKey]] = field(
        default_factory=dict
    )
    """By alert instance its record, the rule's version, and its series of both metrics."""
    stale: bool = False
    """Something could not be written: it is loaded again before the next tick."""


@dataclass
class _Written:
    """What a batch holds of a rule."""

    rule_id: UUID
    keys: Sequence[SeriesKey]
    gone: Sequence[SeriesKey]


def load(connection: psycopg.Connection[Any], before: RecorderCache | None = None) -> RecorderCache:
    """The rules as they are now, and what they wrote last, if that is not cached."""
    rules = recordings_store.load(connection)
    if before is None or before.stale:
        return RecorderCache(rules, recordings_store.load_recorded(connection))
    versions = {rule.id: rule.version for rule in before.rules}
    same = {rule.id for rule in rules if versions.get(rule.id) == rule.version}
    keys = {rule_id: known for rule_id, known in before.keys.items() if rule_id in same}
    return RecorderCache(rules, before.recorded, keys, before.of_alerts)


def record(
    connection: psycopg.Connection[Any],
    cached: RecorderCache,
    inputs: ReadOnce,
    *,
    at: float,
    alerts: Iterable[RuleSnapshot],
    missing_since: float,
) -> None:
    """Evaluate the rules that are due at a tick (seconds since 1970), stage by stage.

    Alert rules that need nothing of them are read with the first stage, so that what both read is
    read once. Raises Unavailable when the database does not respond.
    """
    due = [rule for rule in cached.rules if rule.due(at)]
    if not due:
        return
    names = {rule.name for rule in due}
    independent = []
    for rule in alerts:
        metrics = metrics_of(rule.query)
        if metrics is not None and metrics.isdisjoint(names):
            independent.append(rule)
    for number, stage in enumerate(stages(due)):
        reads = [rule.read for rule in stage]
        inputs.read(connection, [*independent, *reads] if number == 0 else reads)
        _write_stage(connection, cached, inputs, stage, at, missing_since)


def _write_stage(
    connection: psycopg.Connection[Any],
    cached: RecorderCache,
    inputs: ReadOnce,
    stage: Sequence[RecordingSnapshot],
    at: float,
    missing_since: float,
) -> None:
    errors: dict[UUID, str | None] = {}
    pending: list[_Written] = []
    batch = Batch()
    for rule in stage:
        try:
            found = output(
                rule,
                inputs.of(rule.read),
                cached.keys.setdefault(rule.id, {}),
                most_tags=settings().ingest_max_tags,
            )
        except LeftOver as error:
            # Not read is no error of the rule, until people should know that it is not.
            if error.overdue and rule.last_error is None:
                _note(errors, rule, error.message)
            continue
        except Exception as error:
            if isinstance(error, Unavailable) or database.is_outage(error):
                raise
            _note(errors, rule, _text(error, rule))
            continue
        read = rule.read
        # Samples that wait to be written say nothing about what is gone.
        known = at - missing_since >= read.condition.window + rule.offset
        pending.append(_add(batch, cached, rule.id, found, at - rule.offset, known))
        _note(errors, rule, None)
        if batch.accepted >= _BATCH:
            _flush(connection, cached, batch, pending, errors)
            _keep_errors(cached, errors)
            batch, pending, errors = Batch(), [], {}
    _flush(connection, cached, batch, pending, errors)
    _keep_errors(cached, errors)


def _text(error: Exception, rule: RecordingSnapshot) -> str:
    if isinstance(error, PulseboardError):
        return error.message
    logger().exception("recording rule failed", extra={"rule": str(rule.id)})
    return f"{type(error).__name__} while it was evaluated; the logs say more"


def _note(errors: dict[UUID, str | None], rule: RecordingSnapshot, text: str | None) -> None:
    if rule.last_error != text:
        errors[rule.id] = text


def _add(
    batch: Batch,
    cached: RecorderCache,
    rule_id: UUID,
    found: Output,
    at: float,
    mark: bool,
) -> _Written:
    """Add what a rule writes at `at`, and the ends of the series that it does not write any more;
    those stay as they are without `mark`."""
    milliseconds = round(at * 1000)
    batch.series += found.keys
    batch.values += found.values
    batch.times += [milliseconds] * len(found.keys)
    before = cached.recorded.get(rule_id, {})
    now = {key.identity for key in found.keys}
    gone = [key for identity, key in before.items() if identity not in now] if mark else []
    batch.stale_markers += [(key, milliseconds) for key in gone]
    return _Written(rule_id, found.keys, gone)


def _flush(
    connection: psycopg.Connection[Any],
    cached: RecorderCache,
    batch: Batch,
    written: Sequence[_Written],
    errors: dict[UUID, str | None],
) -> None:
    """Store a batch, and note what has changed of what each rule wrote."""
    sent = batch.accepted
    if sent:
        write_path.store(batch, key_id=None, protocol="rules")
    stored = None if batch.accepted == sent else set(batch.series_by_identity())
    added: list[tuple[UUID, SeriesKey]] = []
    removed: list[tuple[UUID, SeriesKey]] = []
    for one in written:
        before = cached.recorded.get(one.rule_id, {})
        fresh = [key for key in one.keys if key.identity not in before]
        if stored is not None and any(key.identity not in stored for key in one.keys):
            why = batch.issues[0].message if batch.issues else "a limit of series is reached"
            errors[one.rule_id] = f"Not all of its series are written: {why}"
            fresh = [key for key in fresh if key.identity in stored]
        added += [(one.rule_id, key) for key in fresh]
        removed += [(one.rule_id, key) for key in one.gone]
    recordings_store.write_recorded(connection, added=added, removed=removed, errors=errors)
    for rule_id, key in removed:
        cached.recorded[rule_id].pop(key.identity, None)
        if not cached.recorded[rule_id]:
            del cached.recorded[rule_id]
    for rule_id, key in added:
        cached.recorded.setdefault(rule_id, {})[key.identity] = key


def _keep_errors(cached: RecorderCache, errors: Mapping[UUID, str | None]) -> None:
    if errors:
        cached.rules = [
            replace(rule, last_error=errors[rule.id]) if rule.id in errors else rule
            for rule in cached.rules
        ]


def record_alerts(
    connection: psycopg.Connection[Any],
    cached: RecorderCache,
    index: RuleIndex,
    states: Mapping[UUID, Mapping[str, InstanceRecord]],
    *,
    at: float,
) -> None:
    """Write ALERTS and ALERTS_FOR_STATE of all alerts that are pending or firing at a tick, as
    Prometheus does: 1, and the time since which the condition has been met.

    What a rule wrote that is not active any more, or is gone itself, gets its stale markers here.
    """
    batch, written = Batch(), []
    active: set[tuple[UUID, str]] = set()
    if settings().alert_series:
        for rule_id, known in states.items():
            rule = index.by_id.get(rule_id)
            if rule is None:
                continue
            keys: list[SeriesKey] = []
            values: list[float] = []
            for series, record_ in known.items():
                state = _ACTIVE.get(record_.instance.status)
                if state is None:
                    continue
                alert = _series_of(cached, rule, series, record_, state)
                active.add((rule_id, series))
                began = record_.instance.first_triggered
                keys += alert
                values += (1.0, float(int(at if began is None else began)))
            if keys:
                written.append(_add(batch, cached, rule_id, _once(keys, values), at, True))
    recordings = {rule.id for rule in cached.rules}
    done = {one.rule_id for one in written} | recordings
    nothing = Output((), ())
    written += [
        _add(batch, cached, rule_id, nothing, at, True)
        for rule_id in cached.recorded
        if rule_id not in done
    ]
    for gone in cached.of_alerts.keys() - active:
        del cached.of_alerts[gone]
    _flush(connection, cached, batch, written, {})


def _series_of(
    cached: RecorderCache, rule: RuleSnapshot, series: str, record_: InstanceRecord, state: str
) -> tuple[SeriesKey, SeriesKey]:
    known = cached.of_alerts.get((rule.id, series))
    instance = record_.instance
    if (
        known is not None
        and known[1] == rule.version
        and (known[0].instance.status, known[0].instance.since) == (instance.status, instance.since)
    ):
        return known[2], known[3]
    labels = labels_of(
        rule.name,
        rule.severity,
        rule.labels,
        record_.tags,
        value=instance.value,
        threshold=rule.condition.threshold,
    )
    made = (
        SeriesKey.of(ALERTS, {**labels, "alertstate": state}),
        SeriesKey.of(ALERTS_FOR_STATE, labels),
    )
    cached.of_alerts[rule.id, series] = (record_, rule.version, *made)
    return made


def _once(keys: Sequence[SeriesKey], values: Sequence[float]) -> Output:
    """Each series once: alerts whose labels are the same are one series."""
    found = {key.identity: (key, value) for key, value in zip(keys, values, strict=True)}
    return Output([key for key, _ in found.values()], [value for _, value in found.values()])
