"""How an app becomes a Lambda function behind API Gateway, SnapStart included."""

import random
from contextlib import suppress

from fastapi import FastAPI
from mangum import Mangum

from pulseboard.core import process_state


def lambda_handler(app: FastAPI) -> Mangum:
    """The handler of a function: this app, ready to be snapshotted."""
    # The module is part of Lambda's Python runtime, and of no other.
    with suppress(ImportError):
        from snapshot_restore_py import register_after_restore, register_before_snapshot

        register_before_snapshot(before_snapshot)
        register_after_restore(after_restore)
    return Mangum(app, lifespan="off")


def before_snapshot() -> None:
    """Close connections, which a restore would break, and create what is slow to create."""
    process_state.prepare_snapshot()


def after_restore() -> None:
    """Reseed the random numbers and drop the secret, which all copies would otherwise share.

    Connections open by themselves at first use. `secrets`, `uuid4` and TLS get theirs from the
    kernel, which is not part of the snapshot.
    """
    random.seed()
    process_state.restored()
