"""Writes spilled batches: those that an event of S3 names, and every minute whatever waits.

The bucket alone says what waits; a message only says it sooner. So a message about a batch that
the database does not take now is done with, and the batch waits for the next minute.
"""

from functions import bootstrap

bootstrap.before_imports()

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote_plus

from functions.drain.work import Outcome, drain
from pulseboard.core.observability import logger, record
from pulseboard.ingest import spill
from pulseboard.ingest.spill_file import arrival_of
from pulseboard.ingest.telemetry_store import note


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """For messages of SQS the ids of those to be sent again; else what was done and what waits."""
    place = spill.place()
    if place is None:
        return {}
    if "Records" in event:
        messages = {str(m["messageId"]): list(_batches(m)) for m in event["Records"]}
        outcome = drain(place, {name for names in messages.values() for name in names})
        _tell(outcome)
        failed = set(outcome.failed)
        return {
            "batchItemFailures": [
                {"itemIdentifier": message}
                for message, names in messages.items()
                if failed.intersection(names)
            ]
        }
    outcome = drain(place, [name for name, _ in place.waiting()])
    waiting = spill.look(place)
    spill.publish(waiting)
    _tell(outcome)
    figures = waiting.model_dump()
    record(**{f"Spill{name.title().replace('_', '')}": value for name, value in figures.items()})
    note({f"pulseboard_spill_{name}": value for name, value in figures.items()})
    return {"samples": outcome.samples, "away": outcome.away, **figures}


def _batches(message: dict[str, Any]) -> Iterator[str]:
    """The names in a notification of S3; none in the test message that S3 sends at first."""
    for entry in json.loads(message["body"]).get("Records", ()):
        name = unquote_plus(entry["s3"]["object"]["key"]).rpartition("/")[2]
        if arrival_of(name) is not None:
            yield name


def _tell(outcome: Outcome) -> None:
    if not outcome.batches and not outcome.dead:
        return
    logger().info(
        "drained",
        extra={
            "batches": outcome.batches,
            "samples": outcome.samples,
            "refused": outcome.refused,
            "dead": outcome.dead,
        },
    )
    record(DrainedSamples=outcome.samples, DrainedBatches=outcome.batches)


bootstrap.after_imports()
