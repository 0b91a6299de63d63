"""What a body is said to be: its media type, and how it was compressed."""

from collections.abc import Collection

from fastapi import Request

from pulseboard.core.exceptions import UnsupportedMediaType


def media_type(request: Request) -> tuple[str, dict[str, str]]:
    """The media type in lower case with its parameters; empty when none is given."""
    kind, *rest = request.headers.get("content-type", "").split(";")
    parameters = {}
    for each in rest:
        name, _, value = each.partition("=")
        parameters[name.strip().lower()] = value.strip().strip('"')
    return kind.strip().lower(), parameters


def check_encoding(request: Request, allowed: Collection[str]) -> None:
    """Refuse a compression that is not read. None given is fine: gateways drop the header.

    Raises UnsupportedMediaType.
    """
    said = request.headers.get("content-encoding", "").strip().lower()
    if said and said != "identity" and said not in allowed:
        raise UnsupportedMediaType(
            f'The Content-Encoding "{said[:40]}" is not read here: send {" or ".join(allowed)}.'
        )
