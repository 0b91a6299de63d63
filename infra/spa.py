"""The built SPA in its bucket: hashed files are cached for a year, `index.html` is not cached."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

FOREVER = "public, max-age=31536000, immutable"
SHORT = "no-cache"
RETENTION = timedelta(days=30)
"""How long files of former builds stay: open tabs load chunks later."""

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".json": "application/json",
    ".map": "application/json",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
    ".txt": "text/plain; charset=utf-8",
}


@dataclass(frozen=True, slots=True)
class Uploaded:
    """Keys that were written, in order, and those of former builds that were removed."""

    written: list[str]
    removed: list[str]


def upload(s3: Any, *, bucket: str, directory: Path, now: datetime | None = None) -> Uploaded:
    """Put the build into the bucket, `index.html` last, so that no page names a missing file.

    `s3` is boto3's client. Hashed files (`assets/`) that are there already are left alone.
    Raises FileNotFoundError when nothing was built.
    """
    if not (directory / "index.html").is_file():
        raise FileNotFoundError(f"{directory}/index.html is missing: make frontend builds it")
    there = {entry["Key"]: entry["LastModified"] for entry in _objects(s3, bucket)}
    files = {
        path.relative_to(directory).as_posix(): path
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }
    written = []
    for key in sorted(files, key=lambda name: (name == "index.html", not _hashed(name), name)):
        if _hashed(key) and key in there:
            continue
        s3.put_object(
            Bucket=bucket,
            Key=key,
            Body=files[key].read_bytes(),
            ContentType=_TYPES.get(files[key].suffix, "application/octet-stream"),
            CacheControl=FOREVER if _hashed(key) else SHORT,
        )
        written.append(key)
    oldest = (now or datetime.now(UTC)) - RETENTION
    removed = [key for key, seen in there.items() if key not in files and seen < oldest]
    _delete(s3, bucket, removed)
    return Uploaded(written=written, removed=removed)


def empty(s3: Any, *, bucket: str) -> int:
    """Delete all objects, so that the bucket itself can be deleted; their number."""
    keys = [entry["Key"] for entry in _objects(s3, bucket)]
    _delete(s3, bucket, keys)
    return len(keys)


def _hashed(key: str) -> bool:
    return key.startswith("assets/")


def _objects(s3: Any, bucket: str) -> list[dict[str, Any]]:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return [entry for page in pages for entry in page.get("Contents", [])]


def _delete(s3: Any, bucket: str, keys: list[str]) -> None:
    # S3 accepts a thousand at once.
    for start in range(0, len(keys), 1000):
        part = [{"Key": key} for key in keys[start : start + 1000]]
        s3.delete_objects(Bucket=bucket, Delete={"Objects": part, "Quiet": True})
