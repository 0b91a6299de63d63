"""What the routes of Prometheus' HTTP API share: parameters from address and form, its errors."""

from typing import Annotated
from urllib.parse import parse_qs

import orjson
from fastapi import Depends, Request, Response

from pulseboard.core.exceptions import InvalidRequest, PulseboardError
from pulseboard.web.body import RawBody
from pulseboard.web.error_formats import error_format_route
from pulseboard.web.prometheus_errors import prometheus_error

_MAX_FIELDS = 1_000


class GivenParameters:
    """The parameters of a request, each with all its values."""

    def __init__(self, values: dict[str, list[str]]) -> None:
        self._values = values

    def __getitem__(self, name: str) -> str:
        """The first value; empty where there is none."""
        return self.all(name)[0] if self.all(name) else ""

    def all(self, name: str) -> list[str]:
        """All values."""
        return self._values.get(name, [])


def given_parameters(request: Request, body: RawBody) -> GivenParameters:
    """Those of the form come before those of the address, as in Prometheus."""
    values: dict[str, list[str]] = {}
    if body:
        try:
            values = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=_MAX_FIELDS)
        except ValueError as error:
            raise InvalidRequest("The body is no form: send its fields URL-encoded.") from error
    for name, value in request.query_params.multi_items():
        values.setdefault(name, []).append(value)
    return GivenParameters(values)


Parameters = Annotated[GivenParameters, Depends(given_parameters)]


def format_error(error: PulseboardError) -> Response:
    """An error in Prometheus' shape, with the hint that ours has."""
    hints = [each.hint for each in error.details or () if each.hint]
    text = f"{error.message} Hint: {hints[0]}." if hints else error.message
    return Response(
        orjson.dumps(prometheus_error(error.status, text)),
        status_code=error.status,
        media_type="application/json",
    )


PrometheusRoute = error_format_route(format_error)
