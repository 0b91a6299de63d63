"""Spilled batches as objects of an S3 bucket, accessed through the VPC's gateway endpoint."""

from functools import lru_cache
from typing import Any

from pulseboard.core.process_state import on_snapshot
from pulseboard.core.settings import settings
from pulseboard.ingest.spill_file import arrival_time

WAITING, DEAD, REASON = "waiting/", "dead/", ".reason.txt"


@lru_cache(maxsize=1)
def client() -> Any:
    """The S3 client. It is created before a snapshot, since importing and creating it are slow."""
    import boto3
    from botocore.config import Config

    return boto3.client(
        "s3", config=Config(connect_timeout=1, read_timeout=4, retries={"max_attempts": 3})
    )


@on_snapshot
def _prepare_client() -> None:
    if settings().spill_bucket is not None:
        client()


class SpillBucket:
    """A spill backend on S3: an object is durable once S3 has responded."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return f"<SpillBucket {self._name}>"

    def put(self, name: str, data: bytes) -> None:
        """Store a batch. Raises botocore's errors."""
        client().put_object(Bucket=self._name, Key=WAITING + name, Body=data)

    def waiting(self) -> list[tuple[str, int]]:
        """Name and size of each batch to be drained, in no order."""
        return self._list(WAITING)

    def dead(self) -> int:
        """How many batches were set aside as dead."""
        return len(self._list(DEAD))

    def read(self, name: str) -> bytes | None:
        """A batch, or None when it does not exist any more."""
        try:
            response = client().get_object(Bucket=self._name, Key=WAITING + name)
        except client().exceptions.NoSuchKey:
            return None
        return bytes(response["Body"].read())

    def remove(self, name: str) -> None:
        """Delete a batch; it is no error when it does not exist."""
        client().delete_object(Bucket=self._name, Key=WAITING + name)

    def set_aside(self, name: str, data: bytes, reason: str) -> None:
        """Store a batch, or the rest of one, among the dead ones."""
        client().put_object(Bucket=self._name, Key=f"{DEAD}{name}{REASON}", Body=reason.encode())
        client().put_object(Bucket=self._name, Key=DEAD + name, Body=data)

    def _list(self, prefix: str) -> list[tuple[str, int]]:
        pages = client().get_paginator("list_objects_v2").paginate(Bucket=self._name, Prefix=prefix)
        return [
            (name, int(entry["Size"]))
            for page in pages
            for entry in page.get("Contents", ())
            if arrival_time(name := str(entry["Key"]).removeprefix(prefix)) is not None
        ]
