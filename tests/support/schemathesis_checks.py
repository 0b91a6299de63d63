"""What schemathesis checks beside its own checks; loaded by `tests/schemathesis.toml`."""

from __future__ import annotations

from typing import Any

import schemathesis
from schemathesis.specs.openapi.checks import negative_data_rejection


@schemathesis.check
def refuses_what_is_forbidden(
    ctx: schemathesis.CheckContext, response: schemathesis.Response, case: schemathesis.Case[Any]
) -> bool | None:
    """What the document forbids is refused; a value of another type may be read leniently.

    Clients send 0 for false, and seconds since 1970 for a date.
    """
    data = case.meta.phase.data if case.meta else None
    if "type" in (getattr(data, "description", None) or "").lower():
        return None
    return negative_data_rejection(ctx, response, case)
