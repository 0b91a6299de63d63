"""Errors in the shape of Prometheus' HTTP API, for all that is below its prefix.

Routes raise errors in it (`web.prometheus`); where no route is reached, or none handles the error,
`web.errors` answers in it.
"""

PREFIX = "/prometheus"
TOOK_LONGER = "took longer than"
"""What the errors of queries say that had no time left: Prometheus answers them with 503."""
_ERROR_TYPES = {
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    422: "execution",
    503: "unavailable",
}


def is_below_prefix(path: str) -> bool:
    """Whether a path is one of Prometheus' API."""
    return path == PREFIX or path.startswith(f"{PREFIX}/")


def prometheus_error(status: int, text: str) -> dict[str, str]:
    """The body of an error."""
    kind = _ERROR_TYPES.get(status, "bad_data" if status < 500 else "internal")
    if status == 503 and TOOK_LONGER in text:
        kind = "timeout"
    return {"status": "error", "errorType": kind, "error": text}
