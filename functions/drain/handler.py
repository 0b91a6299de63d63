"""Writes spilled batches: those named by an S3 event at once, and all waiting ones every minute.

The bucket is the source of truth; an event only speeds things up. So a message is acknowledged even
when the database is unavailable: the batch waits for the next minute.
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
from pulseboard.ingest.spill_file import arrival_time
from pulseboard.ingest.telemetry_store import write_values


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """For SQS messages, the ids of those to retry; otherwise what was drained and what waits."""
    backend = spill.backend()
    if backend is None:
        return {}
    if "Records" in event:
        messages = {str(m["messageId"]): list(_batches(m)) for m in event["Records"]}
        outcome = drain(backend, {name for names in messages.values() for name in names})
        _log(outcome)
        failed = set(outcome.failed)
        return {
            "batchItemFailures": [
                {"itemIdentifier": message}
                for message, names in messages.items()
                if failed.intersection(names)
            ]
        }
    outcome = drain(backend, [name for name, _ in backend.waiting()])
    waiting = spill.measure(backend)
    spill.publish(waiting)
    _log(outcome)
    counts = waiting.model_dump()
    record(**{f"Spill{name.title().replace('_', '')}": value for name, value in counts.items()})
    write_values({f"pulseboard_spill_{name}": value for name, value in counts.items()})
    return {"samples": outcome.samples, "away": outcome.away, **counts}


def _batches(message: dict[str, Any]) -> Iterator[str]:
    """The batch names in an S3 notification; none in the test message that S3 sends first."""
    for entry in json.loads(message["body"]).get("Records", ()):
        name = unquote_plus(entry["s3"]["object"]["key"]).rpartition("/")[2]
        if arrival_time(name) is not None:
            yield name


def _log(outcome: Outcome) -> None:
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
