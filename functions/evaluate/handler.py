"""Every ten seconds: a tick of all alert rules; and, in its second role, acknowledgements.

{}                                          a tick; returns what `notify` is to send
{"action": "acknowledge", "results": […]}   the results that `notify` returned
"""

from functions import bootstrap

bootstrap.before_imports()

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from functions.evaluate import tick
from pulseboard.alerts import notifier
from pulseboard.alerts.notifications import SendResult
from pulseboard.alerts.state_machine import TICK
from pulseboard.contracts.base import iso_utc
from pulseboard.core.exceptions import Unavailable
from pulseboard.core.observability import logger, record
from pulseboard.db import database


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """A tick, or acknowledgements. An unavailable database is logged and is no failure: the
    next tick catches up."""
    try:
        if event.get("action") == "acknowledge":
            return _acknowledge(event)
        return _tick()
    except Unavailable as error:
        logger().error("nothing was evaluated", extra={"reason": error.message})
        return {"claims": [], "unavailable": error.message}


def _acknowledge(event: dict[str, Any]) -> dict[str, Any]:
    results = _results(event.get("results", []))
    if results:
        with database.connection() as connection:
            notifier.acknowledge(connection, results=results)
    return {"acknowledged": len(results)}


def _results(given: Sequence[Any]) -> list[SendResult]:
    """The results that can be read: one that can't must not take the others with it."""
    results = []
    for result in given:
        try:
            results.append(SendResult.model_validate(result))
        except ValidationError as error:
            fields = ", ".join(".".join(map(str, part["loc"])) for part in error.errors())
            logger().error("a notification's result can't be read", extra={"fields": fields})
    return results


def _tick() -> dict[str, Any]:
    report = tick.run()
    record(TickSeconds=report.seconds, TickLagSeconds=report.lag)
    following = datetime.fromtimestamp((report.tick + 1) * TICK, UTC)
    outcome = {"error": report.error} if report.error else {}
    return {
        **outcome,
        "tick": report.tick,
        "evaluated": report.evaluated,
        "rules": report.rules,
        "changes": report.changes,
        "nextTickAt": iso_utc(following),
        # Without what is as always: a `notify` of before knows no newer fields.
        "claims": [
            claim.model_dump(mode="json", by_alias=True, exclude_defaults=True)
            for claim in report.claims
        ],
    }


bootstrap.after_imports()
