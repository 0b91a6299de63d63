"""Every ten seconds: a tick of all alert rules; and, in its second role, acknowledgements.

{}                                          a tick; returns what `notify` is to send
{"action": "acknowledge", "results": […]}   the results that `notify` returned
"""

from functions import bootstrap

bootstrap.before_imports()

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Metrics
from aws_lambda_powertools.metrics import MetricUnit

from functions.evaluate import tick
from pulseboard.alerts import notifier
from pulseboard.alerts.notifications import SendResult
from pulseboard.alerts.state_machine import TICK
from pulseboard.contracts.base import iso_utc
from pulseboard.core.exceptions import Unavailable
from pulseboard.core.observability import logger
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
    results = [SendResult.model_validate(result) for result in event.get("results", [])]
    if results:
        with database.connection() as connection:
            notifier.acknowledge(connection, results=results)
    return {"acknowledged": len(results)}


def _tick() -> dict[str, Any]:
    report = tick.run()
    metrics = Metrics(namespace="Pulseboard", service="evaluate")
    metrics.add_metric("EvaluatedRules", MetricUnit.Count, report.rules * len(report.evaluated))
    metrics.add_metric("FailingRules", MetricUnit.Count, report.failing)
    metrics.add_metric("TickSeconds", MetricUnit.Seconds, report.seconds)
    metrics.add_metric("TickLagSeconds", MetricUnit.Seconds, report.lag)
    metrics.flush_metrics()
    following = datetime.fromtimestamp((report.tick + 1) * TICK, UTC)
    outcome = {"error": report.error} if report.error else {}
    return {
        **outcome,
        "tick": report.tick,
        "evaluated": report.evaluated,
        "rules": report.rules,
        "changes": report.changes,
        "nextTickAt": iso_utc(following),
        "claims": [claim.model_dump(mode="json", by_alias=True) for claim in report.claims],
    }


bootstrap.after_imports()
