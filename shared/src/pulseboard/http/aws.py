"""How an app becomes a Lambda function behind API Gateway, SnapStart included."""

import random
from collections.abc import Sequence
from contextlib import suppress

from fastapi import APIRouter
from mangum import Mangum

from pulseboard import own_metrics
from pulseboard.http.app import create_app
from pulseboard.settings import settings
from pulseboard.stores import (
    cache,
    database,
    known_keys,
    known_series,
    secrets,
    series,
    spill_bucket,
)


def lambda_handler(routers: Sequence[APIRouter]) -> Mangum:
    """The handler of a function: these routers in one app, ready to be snapshotted."""
    # The module is part of Lambda's Python runtime, and of no other.
    with suppress(ImportError):
        from snapshot_restore_py import register_after_restore, register_before_snapshot

        register_before_snapshot(before_snapshot)
        register_after_restore(after_restore)
    return Mangum(create_app(routers), lifespan="off")


def before_snapshot() -> None:
    """Close what would be dead after a restore, and make what takes long to make."""
    database.close()
    cache.close()
    series.forget()
    known_series.forget()
    known_keys.forget()
    secrets.forget()
    if settings().database_secret is not None:
        secrets.client()
    if settings().spill_bucket is not None:
        spill_bucket.client()


def after_restore() -> None:
    """Every copy of the snapshot would draw the same random numbers, and know the same secret.

    Connections open by themselves at first use. `secrets`, `uuid4` and TLS take theirs from the
    kernel, which is not part of the snapshot.
    """
    random.seed()
    own_metrics.forget()
    secrets.forget()
