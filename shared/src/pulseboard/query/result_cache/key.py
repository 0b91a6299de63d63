"""Redis keys of the result cache.

All keys of a plan carry its hash as their hash tag, so they share a slot:
`cache:query:{sha256}:c:N` is chunk N of settled points, `…:tail` the points after them as they
were read last.
"""

import hashlib
import json
from typing import Any, NamedTuple


class SpanKey(NamedTuple):
    """The points `span` of the plan whose key is `plan`."""

    plan: str
    span: range


def plan_key(parameters: dict[str, Any]) -> str:
    """`cache:query:{sha256}` of normalised parameters: keys sorted, no white space."""
    text = json.dumps(parameters, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return f"cache:query:{{{digest}}}"


def chunk_key(plan: str, number: int) -> str:
    """The key of a chunk of settled points."""
    return f"{plan}:c:{number}"


def tail_key(plan: str) -> str:
    """The key of the mutable points."""
    return f"{plan}:tail"
