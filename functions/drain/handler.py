"""Writes spilled batches: those named by an S3 event at once, and all waiting ones every minute.

The bucket is the source of truth; an event only speeds things up. So a message is acknowledged even
when the database is unavailable: the batch waits for the next minute.
"""

from functions import bootstrap

bootstrap.before_imports()

import json
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote_plus

from functions.drain.work import Outcome, drain
from pulseboard.core.observability import logger, record
from pulseboard.ingest import spill
from pulseboard.ingest.spill_file import arrival_time
from pulseboard.ingest.telemetry_store import write_values

PART = 0.4
"""Of the time that Lambda leaves, after which no further transaction is begun: one may take long,
and the rest of the work is left."""
DEFAULT_SECONDS = 60.0


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """For SQS messages, the ids of those to retry; otherwise what was drained and what waits."""
    backend = spill.backend()
    if backend is None:
        return {}
    until = time.monotonic() + PART * _remaining_seconds(context)
    if "Records" in event:
        if spill.is_draining():
            # The run of this minute takes these batches too.
            return {"batchItemFailures": []}
        messages = {str(m["messageId"]): list(_batches(m)) for m in event["Records"]}
        outcome = drain(
            backend, {name for names in messages.values() for name in names}, until=until
        )
        _log(outcome)
        failed = set(outcome.failed)
        return {
            "batchItemFailures": [
                {"itemIdentifier": message}
                for message, names in messages.items()
                if failed.intersection(names)
            ]
        }
    # Also before: a run that is killed has published something.
    spill.publish(spill.measure(backend))
    with spill.draining(seconds=_remaining_seconds(context)):
        outcome = drain(backend, [name for name, _ in backend.waiting()], until=until)
    waiting = spill.measure(backend)
    spill.publish(waiting)
    _log(outcome)
    counts = waiting.model_dump()
    record(
        SpillFiles=waiting.files, SpillOldestSeconds=waiting.oldest_seconds, SpillDead=waiting.dead
    )
    write_values({f"pulseboard_spill_{name}": value for name, value in counts.items()})
    return {"samples": outcome.samples, "away": outcome.away, **counts}


def _remaining_seconds(context: object) -> float:
    remaining = getattr(context, "get_remaining_time_in_millis", None)
    return float(remaining()) / 1000 if remaining else DEFAULT_SECONDS


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
    record(DrainedSamples=outcome.samples)


bootstrap.after_imports()
