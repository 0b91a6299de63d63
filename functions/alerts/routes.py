"""Alert rules, their history, and backtests."""

import time
from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID, uuid4

from fastapi import APIRouter, Query, Response
from pydantic import ValidationError

from functions.alerts import ending
from pulseboard.alerts import cache as alert_cache
from pulseboard.alerts import events_store, rules_store, silences_store, state_store
from pulseboard.alerts.notifications import labels_of, silenced
from pulseboard.alerts.state_machine import (
    NEW,
    TICK,
    Instance,
    RuleSnapshot,
    condition_of,
    step,
    tick_at,
)
from pulseboard.auth.access import Reader, Writer
from pulseboard.contracts.alerts import (
    AcknowledgeAlert,
    AlertChange,
    AlertCondition,
    AlertEvaluation,
    AlertEvent,
    AlertInstance,
    AlertPreview,
    AlertRule,
    AlertRuleDetail,
    AlertRuleFields,
    AlertRuleState,
    AlertSeverity,
    AlertStatus,
    CreateAlertRule,
    NoDataPolicy,
    PreviewAlertRule,
    Reducer,
    UpdateAlertRule,
)
from pulseboard.contracts.base import UtcTime, format_interval, interval_seconds
from pulseboard.contracts.envelope import ApiResponse, PageMeta
from pulseboard.contracts.errors import ErrorDetail
from pulseboard.core import text_templates
from pulseboard.core.exceptions import Conflict, InvalidRequest, LimitExceeded, NotFound
from pulseboard.core.settings import settings
from pulseboard.db import database

router = APIRouter(prefix="/api/v1/alerts", tags=["alerts"])

Page = Annotated[int, Query(ge=1)]
PageSize = Annotated[int, Query(ge=1, le=1000, alias="pageSize")]


@router.get("/rules")
def get_alert_rules(
    caller: Reader,
    search: Annotated[str, Query(max_length=200)] = "",
    status: Annotated[AlertStatus | None, Query(description="firing or pending")] = None,
    state: Annotated[AlertRuleState | None, Query()] = None,
    severity: Annotated[AlertSeverity | None, Query()] = None,
    page: Page = 1,
    page_size: PageSize = 50,
) -> ApiResponse[list[AlertRule]]:
    """Rules with their state, the most urgent first: those that have each word of `search` in
    their name, query or labels (`team=ops`)."""
    with database.connection() as connection:
        found, total = rules_store.list_rules(
            connection,
            search=search,
            status=status,
            state=state,
            severity=severity,
            page=page,
            page_size=page_size,
        )
    return ApiResponse(data=found, meta=PageMeta(total=total, page=page, page_size=page_size))


@router.post("/rules", status_code=201)
def create_alert_rule(caller: Writer, body: CreateAlertRule) -> ApiResponse[AlertRule]:
    """Add a rule. It is evaluated from the next tick on, within ten seconds.

    400 for one that would exceed the limits of a tick now."""
    _check(body)
    _check_limits(body)
    with database.connection() as connection:
        created = rules_store.create_rule(connection, owner_id=caller.user_id, fields=body)
    return ApiResponse(data=created)


@router.get("/rules/{rule_id}")
def get_alert_rule(caller: Reader, rule_id: UUID) -> ApiResponse[AlertRuleDetail]:
    """A rule with its series: those that are firing, pending or resolved, and the value of each."""
    now = time.time()
    with database.connection() as connection:
        rule = rules_store.get_rule(connection, rule_id=rule_id)
        states = state_store.load_states(connection, rule_ids=[rule_id]).get(rule_id, {})
        silences = silences_store.active(connection, at=now)
        cared_for = events_store.active_acknowledgements(connection, at=now, rule_id=rule_id)
    current = alert_cache.get_current(rule_id)
    instances = []
    for series, record in states.items():
        value = current[series][0] if series in current else record.instance.value
        shown = _instance(rule, record.tags, record.instance, value=value)
        # Labels are filled with the value that it fired with.
        shown.labels = _labels(rule, record.tags, record.instance.value)
        shown.silenced = silenced(shown.labels, silences)
        if record.instance.status is AlertStatus.FIRING and record.event_id is not None:
            shown.event_id = record.event_id
            shown.acknowledgement = cared_for.get(record.event_id)
        instances.append(shown)
    instances.sort(key=lambda one: (_URGENCY[one.status], sorted(one.tags.items())))
    return ApiResponse(data=AlertRuleDetail(**rule.model_dump(), instances=instances))


_URGENCY = {
    AlertStatus.FIRING: 0,
    AlertStatus.PENDING: 1,
    AlertStatus.RESOLVED: 2,
    AlertStatus.INACTIVE: 3,
}


def _instance(
    rule: AlertRuleFields,
    tags: dict[str, str],
    instance: Instance,
    *,
    value: float | None,
) -> AlertInstance:
    since = max(instance.since, 0.0)
    return AlertInstance(
        tags=tags,
        status=instance.status,
        value=value,
        reason=instance.reason,
        since=_datetime(since),
        first_triggered=None
        if instance.first_triggered is None
        else _datetime(instance.first_triggered),
    )


def _labels(rule: AlertRuleFields, tags: dict[str, str], value: float | None) -> dict[str, str]:
    return labels_of(
        rule.name, rule.severity, rule.labels, tags, value=value, threshold=rule.threshold
    )


def _datetime(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


@router.put("/rules/{rule_id}")
def update_alert_rule(
    caller: Writer, rule_id: UUID, body: UpdateAlertRule
) -> ApiResponse[AlertRule]:
    """Change a rule; fields that are left out stay. 409 when `version` is not the stored one.

    Firing alerts go on when only texts change; with another query, or disabled, they resolve. What
    changes nothing writes nothing, and has no new version.
    """
    with database.connection() as connection:
        stored = rules_store.get_rule(connection, rule_id=rule_id)
    changed_fields = _with_changes(stored, body)
    if changed_fields is None:
        return ApiResponse(data=stored)
    # Reads samples: before the lock that ticks wait for.
    _check(changed_fields, stored)
    _check_limits(changed_fields, stored)
    with database.connection() as connection, connection.transaction():
        state_store.rules_changed(connection)
        before = rules_store.get_rule(connection, rule_id=rule_id)
        fields = _with_changes(before, body)
        if fields is None:
            return ApiResponse(data=before)
        _check(fields, before)
        if before.enabled and not fields.enabled:
            ending.end_all(connection, rule_id=rule_id, reason="the rule was disabled")
        elif not _same_query(before.query, fields.query):
            ending.end_all(connection, rule_id=rule_id, reason="the rule's query was changed")
        rules_store.put_rule(connection, rule_id=rule_id, version=before.version, fields=fields)
        changed = rules_store.get_rule(connection, rule_id=rule_id)
    return ApiResponse(data=changed)


def _with_changes(before: AlertRule, body: UpdateAlertRule) -> AlertRuleFields | None:
    """The fields of a rule with the changes that are given; None where none changes anything.

    Raises Conflict when the rule is not the version that was read.
    """
    if body.version is not None and body.version != before.version:
        raise Conflict("Somebody else has changed this rule. Load it again.")
    given = body.model_dump(exclude_unset=True, exclude={"version", "notification"})
    clears = ("window", "threshold")
    given = {name: value for name, value in given.items() if value is not None or name in clears}
    stored = before.model_dump(include=set(AlertRuleFields.model_fields) - {"notification"})
    if body.condition is AlertCondition.RETURNED and before.condition is not body.condition:
        # They mean nothing there, so that who changes the condition need not take them away.
        stored |= {"threshold": None, "window": None, "reducer": Reducer.LAST}
        stored["no_data"] = NoDataPolicy.OK
    notification = body.notification or before.notification
    try:
        fields = AlertRuleFields.model_validate({**stored, **given, "notification": notification})
    except ValidationError as error:
        # Each field by itself is right: together they are not.
        message = str(error.errors()[0]["msg"]).removeprefix("Value error, ")
        field = message.split(" ", 1)[0].removesuffix(":")
        raise _refused(field, message, hint="send the fields that belong together") from error
    same = before.model_dump(include=set(AlertRuleFields.model_fields))
    alike = _written_alike(fields).model_dump() == _written_alike(
        AlertRuleFields.model_construct(**same)
    ).model_dump(warnings=False)
    return None if alike else fields


def _written_alike(fields: AlertRuleFields) -> AlertRuleFields:
    """The fields with their durations as the store writes them: `60s` is `1m`."""
    names = ("duration", "window", "keep_firing_for", "evaluation_delay")
    given = {name: getattr(fields, name) for name in names}
    written = {k: format_interval(interval_seconds(v)) for k, v in given.items() if v is not None}
    return fields.model_copy(update=written)


def _same_query(one: str, other: str) -> bool:
    """Whether two texts mean the same: white space is not a change."""
    from pulseboard.alerts import inputs as alert_inputs

    return one == other or alert_inputs.same_query(one, other)


@router.delete("/rules/{rule_id}", status_code=204)
def delete_alert_rule(caller: Writer, rule_id: UUID) -> Response:
    """Delete a rule. Its firing alerts resolve and its channels are notified; its history stays."""
    with database.connection() as connection, connection.transaction():
        state_store.rules_changed(connection)
        ending.end_all(connection, rule_id=rule_id, reason="the rule was deleted")
        rules_store.delete_rule(connection, rule_id=rule_id)
    return Response(status_code=204)


@router.post("/rules/{rule_id}/evaluate")
def evaluate_alert_rule(caller: Writer, rule_id: UUID) -> ApiResponse[AlertEvaluation]:
    """The current values of the rule and the states at its next tick. Changes nothing."""
    # Imports numpy, an eighth of a cold start, which lists and histories of alerts don't need.
    from pulseboard.alerts import inputs as alert_inputs

    at = float(tick_at(time.time()) * TICK)
    with database.connection() as connection:
        snapshot = state_store.load_rule(connection, rule_id=rule_id)
        if snapshot is None:
            raise NotFound("There is no such alert rule.")
        rule = rules_store.get_rule(connection, rule_id=rule_id)
        states = state_store.load_states(connection, rule_ids=[rule_id]).get(rule_id, {})
        observed = alert_inputs.read(connection, [snapshot], at=at).of(snapshot)
    instances = []
    for series, tags, value in observed:
        known = states.get(series)
        if known is None and value is None:
            continue
        before = known.instance if known else NEW
        after = step(snapshot.condition, before, value, at)
        instances.append(_instance(rule, tags, after, value=value))
    notes = []
    if not instances:
        notes.append(
            "The expression returns nothing: no alert fires."
            if rule.condition is AlertCondition.RETURNED
            else "The query reads no data in its window."
        )
    if not rule.enabled:
        notes.append("The rule is disabled: ticks leave it out.")
    return ApiResponse(data=AlertEvaluation(at=_datetime(at), instances=instances, notes=notes))


@router.get("/events")
def get_alert_history(
    caller: Reader,
    rule_id: Annotated[UUID | None, Query(alias="ruleId")] = None,
    status: Annotated[AlertStatus | None, Query(description="firing or resolved")] = None,
    start: Annotated[UtcTime | None, Query()] = None,
    end: Annotated[UtcTime | None, Query()] = None,
    page: Page = 1,
    page_size: PageSize = 50,
) -> ApiResponse[list[AlertEvent]]:
    """Alerts that fired, newest first: of one rule or all, in a time range or all time."""
    with database.connection() as connection:
        found, total = events_store.list_events(
            connection,
            rule_id=rule_id,
            status=status,
            start=start,
            end=end,
            page=page,
            page_size=page_size,
        )
    return ApiResponse(data=found, meta=PageMeta(total=total, page=page, page_size=page_size))


@router.post("/events/{event_id}/acknowledge")
def acknowledge_alert(
    caller: Writer, event_id: UUID, body: AcknowledgeAlert
) -> ApiResponse[AlertEvent]:
    """Take care of a firing alert: nobody is notified of it again until then, or until it resolves,
    which is notified. The last one counts. 409 when it has resolved."""
    if body.until is not None and body.until <= datetime.now(UTC):
        raise _refused("until", "until is not in the future.", hint="leave it out for no end")
    with database.connection() as connection:
        changed = events_store.acknowledge(
            connection, event_id=event_id, user_id=caller.user_id, body=body
        )
    return ApiResponse(data=changed)


@router.delete("/events/{event_id}/acknowledge")
def withdraw_acknowledgement(caller: Writer, event_id: UUID) -> ApiResponse[AlertEvent]:
    """Take an acknowledgement back: an alert that still fires is notified as before. 409 when it
    has resolved."""
    with database.connection() as connection:
        return ApiResponse(data=events_store.withdraw(connection, event_id=event_id))


@router.post("/preview")
def preview_alert_rule(caller: Reader, body: PreviewAlertRule) -> ApiResponse[AlertPreview]:
    """When the rule would have fired and resolved: the same state machine over raw samples.

    Bounded in ticks × series by `PULSEBOARD_ALERT_PREVIEW_MAX_VALUES`.
    """
    from pulseboard.alerts import backtest
    from pulseboard.alerts import inputs as alert_inputs

    began = time.perf_counter()
    configured = settings()
    _check(body.rule)
    notes = []
    now = datetime.now(UTC)
    oldest = now - timedelta(seconds=configured.retention_raw)
    start, end = body.start, body.end
    if start < oldest:
        start = oldest
        notes.append(f"Raw samples are stored for {format_interval(configured.retention_raw)}.")
    if end > now:
        # No rule has been evaluated in the future; each tick there would cost memory all the same.
        end = now
        notes.append("The range ends now: nothing is known of the future.")
    rule = _snapshot(body.rule)
    ticks = backtest.tick_times(start.timestamp(), end.timestamp())
    histories = alert_inputs.read_history(rule, ticks)
    changes = [
        AlertChange(
            at=_datetime(change.at),
            tags=history.tags,
            status=change.instance.status,
            value=change.instance.value,
            reason=change.instance.reason,
        )
        for history in histories
        for change in backtest.run(rule.condition, ticks, history.values, present=history.present)
    ]
    changes.sort(key=lambda change: change.at)
    fired = sum(change.status is AlertStatus.FIRING for change in changes)
    most = configured.alert_preview_max_changes
    if len(changes) > most:
        notes.append(f"The first {most} of {len(changes)} changes are shown.")
    if not histories:
        notes.append(
            "The expression returned nothing in this range."
            if rule.condition.returned
            else "The query reads no data in this range."
        )
    return ApiResponse(
        data=AlertPreview(
            changes=changes[:most],
            series=len(histories),
            ticks=len(ticks),
            fired=fired,
            duration_ms=round((time.perf_counter() - began) * 1000, 2),
            notes=notes,
        )
    )


def _check(fields: AlertRuleFields, before: AlertRuleFields | None = None) -> None:
    """Raises InvalidRequest for a rule that can't be evaluated, or whose new texts can't be filled:
    a stored text may stay as it is."""
    from pulseboard.alerts import inputs as alert_inputs

    texts = {"message": fields.message} | {f"labels.{k}": v for k, v in fields.labels.items()}
    known = {before.message, *before.labels.values()} if before is not None else set()
    for field, text in texts.items():
        problems = text_templates.problems_of(text) if text not in known else ()
        if problems:
            raise _refused(field, f"{field}: {problems[0]}", hint="see the page on alerts")
    if before is None or fields.query != before.query:
        alert_inputs.check_query(fields.query)
    raw = settings().retention_raw
    for name in ("duration", "window", "keep_firing_for", "evaluation_delay"):
        text = getattr(fields, name)
        if text is not None and interval_seconds(text) > raw // 2:
            message = f"{name} is longer than {format_interval(raw // 2)}."
            raise _refused(name, message, hint="shorten it")
    if fields.window is not None and interval_seconds(fields.window) < TICK:
        message = f"window is shorter than {TICK}s, the time between two evaluations."
        raise _refused("window", message, hint=f"write {TICK}s or more, or leave it out")
    lookback = alert_inputs.lookback_of(fields.query)
    lookback += interval_seconds(fields.window or "0s") + interval_seconds(fields.evaluation_delay)
    if lookback > raw:
        message = (
            f"The query's ranges and offsets reach {format_interval(lookback)} back; raw samples"
            f" are kept for {format_interval(raw)}."
        )
        raise _refused("query", message, hint="shorten its range, its offset or the window")


def _snapshot(fields: AlertRuleFields) -> RuleSnapshot:
    """What of a rule that is not stored is evaluated."""
    return RuleSnapshot(
        id=uuid4(),
        name=fields.name,
        query=fields.query,
        condition=condition_of(fields, forget_after=settings().alert_forget_after),
        reducer=fields.reducer,
        default_window=fields.window is None,
        delay=interval_seconds(fields.evaluation_delay),
    )


def _check_limits(fields: AlertRuleFields, before: AlertRule | None = None) -> None:
    """Raises LimitExceeded for a rule that would exceed the limits of a tick, by reading once what
    it would read; where it reads what it read before, that is known."""
    from pulseboard.alerts import inputs as alert_inputs

    rule = _snapshot(fields)
    known = before is not None and before.enabled and _snapshot(before).read_key == rule.read_key
    if fields.enabled and not known:
        at = float(tick_at(time.time()) * TICK)
        try:
            with database.connection() as connection:
                alert_inputs.check_limits(connection, rule, at=at)
        except LimitExceeded as error:
            if error.details:
                raise
            raise _refused("query", error.message, hint="narrow the query") from error


def _refused(field: str, message: str, *, hint: str) -> InvalidRequest:
    return InvalidRequest(message, details=[ErrorDetail(field=field, message=message, hint=hint)])
