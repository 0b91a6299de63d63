"""Recording rules and groups of rules: lists, changes, previews, backfills."""

import time
from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID, uuid4

from fastapi import APIRouter, Query, Response
from pydantic_core import from_json

from pulseboard.alerts import recordings_store, state_store
from pulseboard.auth.access import Reader, Writer
from pulseboard.contracts.base import UtcTime, format_interval, interval_seconds
from pulseboard.contracts.envelope import ApiResponse, PageMeta
from pulseboard.contracts.errors import ErrorDetail
from pulseboard.contracts.recordings import (
    BackfillRecordingRule,
    CreateRecordingRule,
    PreviewRecordingRule,
    RecordedLine,
    RecordingBackfill,
    RecordingPreview,
    RecordingRule,
    RecordingRuleFields,
    RuleGroup,
    RuleGroupFields,
    UpdateRecordingRule,
)
from pulseboard.core.exceptions import Conflict, InvalidRequest
from pulseboard.core.settings import settings
from pulseboard.db import database

router = APIRouter(prefix="/api/v1/alerts", tags=["alerts"])

Page = Annotated[int, Query(ge=1)]
PageSize = Annotated[int, Query(ge=1, le=1000, alias="pageSize")]
_SHOWN = 50
"""Series that a preview lists."""


@router.get("/recordings")
def list_recording_rules(
    caller: Reader,
    search: Annotated[str, Query(max_length=200)] = "",
    page: Page = 1,
    page_size: PageSize = 50,
) -> ApiResponse[list[RecordingRule]]:
    """Recording rules in the order of their groups: those that have each word of `search` in their
    name, query or group."""
    with database.connection() as connection:
        found, total = recordings_store.list_rules(
            connection, search=search, page=page, page_size=page_size
        )
    return ApiResponse(data=found, meta=PageMeta(total=total, page=page, page_size=page_size))


@router.post("/recordings", status_code=201)
def create_recording_rule(caller: Writer, body: CreateRecordingRule) -> ApiResponse[RecordingRule]:
    """Add a rule. It is evaluated at its group's interval from the next tick on."""
    _check(body)
    with database.connection() as connection, connection.transaction():
        state_store.rules_changed(connection)
        created = recordings_store.create_rule(connection, owner_id=caller.user_id, fields=body)
    return ApiResponse(data=created)


@router.get("/recordings/{rule_id}")
def get_recording_rule(caller: Reader, rule_id: UUID) -> ApiResponse[RecordingRule]:
    """A rule."""
    with database.connection() as connection:
        return ApiResponse(data=recordings_store.get_rule(connection, rule_id=rule_id))


@router.put("/recordings/{rule_id}")
def update_recording_rule(
    caller: Writer, rule_id: UUID, body: UpdateRecordingRule
) -> ApiResponse[RecordingRule]:
    """Change a rule; fields that are left out stay. 409 when `version` is not the stored one.

    Series that it does not write any more end with its next evaluation. What changes nothing writes
    nothing, and has no new version.
    """
    with database.connection() as connection, connection.transaction():
        state_store.rules_changed(connection)
        before = recordings_store.get_rule(connection, rule_id=rule_id)
        if body.version is not None and body.version != before.version:
            raise Conflict("Somebody else has changed this rule. Load it again.")
        given = body.model_dump(exclude_unset=True, exclude_none=True, exclude={"version"})
        stored = before.model_dump(include=set(RecordingRuleFields.model_fields))
        if given.items() <= stored.items():
            return ApiResponse(data=before)
        fields = RecordingRuleFields.model_validate({**stored, **given})
        _check(fields)
        changed = recordings_store.put_rule(
            connection, rule_id=rule_id, version=before.version, fields=fields
        )
    return ApiResponse(data=changed)


@router.delete("/recordings/{rule_id}", status_code=204)
def delete_recording_rule(caller: Writer, rule_id: UUID) -> Response:
    """Delete a rule. What it wrote stays; its series end with the next tick."""
    with database.connection() as connection, connection.transaction():
        state_store.rules_changed(connection)
        recordings_store.delete_rule(connection, rule_id=rule_id)
    return Response(status_code=204)


@router.post("/recording-preview")
def preview_recording_rule(
    caller: Reader, body: PreviewRecordingRule
) -> ApiResponse[RecordingPreview]:
    """What a rule, saved or not, would have written, from raw samples. Changes nothing.

    Bounded in evaluations × series by `PULSEBOARD_ALERT_PREVIEW_MAX_VALUES`.
    """
    # Imports numpy, an eighth of a cold start, which lists don't need.
    from pulseboard.alerts import recording_history
    from pulseboard.alerts.recording import RecordingSnapshot

    began = time.perf_counter()
    _check(body.rule)
    with database.connection() as connection:
        groups = {one.name: one for one in recordings_store.list_groups(connection)}
    group = groups.get(body.rule.group)
    interval = group.interval if group is not None else None
    rule = RecordingSnapshot(
        id=uuid4(),
        name=body.rule.name,
        query=body.rule.query,
        interval=interval_seconds(interval) if interval else float(settings().recording_interval),
        labels=body.rule.labels,
        offset=interval_seconds(group.query_offset) if group is not None else 0.0,
        limit=group.limit if group is not None else 0,
    )
    start, end, notes = _range(body.start, body.end)
    found = recording_history.read(rule, start=start, end=end)
    if not found.series:
        notes.append("The expression returned nothing in this range.")
    if len(found.series) > _SHOWN:
        notes.append(f"{_SHOWN} of {len(found.series)} series are listed.")
    lines = [
        RecordedLine(
            tags=from_json(one.key.tags),
            samples=int(one.present.sum()),
            last=recording_history.last_value(one),
        )
        for one in sorted(found.series, key=lambda one: one.key.tags)[:_SHOWN]
    ]
    return ApiResponse(
        data=RecordingPreview(
            series=len(found.series),
            evaluations=found.times.count,
            samples=found.samples,
            lines=lines,
            duration_ms=round((time.perf_counter() - began) * 1000, 2),
            notes=notes,
        )
    )


@router.post("/recordings/{rule_id}/backfill")
def backfill_recording_rule(
    caller: Writer, rule_id: UUID, body: BackfillRecordingRule
) -> ApiResponse[RecordingBackfill]:
    """Write what a rule would have written in a range, from raw samples. What is stored stays, so
    that it fills gaps, and doing it twice changes nothing.

    Bounded in evaluations × series by `PULSEBOARD_ALERT_PREVIEW_MAX_VALUES`: send ranges one by
    one, in the order in which rules need each other.
    """
    from pulseboard.alerts import recording_history

    with database.connection() as connection:
        # Raises NotFound.
        recordings_store.get_rule(connection, rule_id=rule_id)
        [rule] = recordings_store.load(connection, rule_id=rule_id)
    start, end, notes = _range(body.start, body.end)
    found = recording_history.read(rule, start=start, end=end)
    samples = recording_history.write(rule, found)
    return ApiResponse(
        data=RecordingBackfill(
            series=len(found.series), evaluations=found.times.count, samples=samples, notes=notes
        )
    )


@router.get("/groups")
def list_rule_groups(caller: Reader) -> ApiResponse[list[RuleGroup]]:
    """The groups of alerting and recording rules, by name."""
    with database.connection() as connection:
        return ApiResponse(data=recordings_store.list_groups(connection))


@router.put("/groups")
def put_rule_group(caller: Writer, body: RuleGroupFields) -> ApiResponse[RuleGroup]:
    """Describe a group: how often its recording rules are evaluated. Alert rules are evaluated at
    every tick."""
    if body.interval is not None and not 10 <= interval_seconds(body.interval) <= 86_400:
        raise _refused("interval", "interval is not between 10s and 1d.", hint="write 1m")
    with database.connection() as connection, connection.transaction():
        state_store.rules_changed(connection)
        recordings_store.put_group(connection, fields=body)
        stored = {one.name: one for one in recordings_store.list_groups(connection)}
    return ApiResponse(data=stored[body.name])


def _range(start: UtcTime, end: UtcTime) -> tuple[float, float, list[str]]:
    """The part of a range that raw samples are stored of, and what was left out."""
    retention = settings().retention_raw
    now = datetime.now(UTC)
    oldest = now - timedelta(seconds=retention)
    notes = []
    if start < oldest:
        notes.append(f"Raw samples are stored for {format_interval(retention)}.")
    if end > now:
        notes.append("The range ends now: nothing is known of the future.")
    return max(start, oldest).timestamp(), min(end, now).timestamp(), notes


def _check(fields: RecordingRuleFields) -> None:
    """Raise InvalidRequest for a query that can't be read."""
    from pulseboard.alerts import inputs as alert_inputs

    alert_inputs.check_query(fields.query)


def _refused(field: str, message: str, *, hint: str) -> InvalidRequest:
    return InvalidRequest(message, details=[ErrorDetail(field=field, message=message, hint=hint)])
