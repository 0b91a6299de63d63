"""Prometheus' HTTP API, for its clients: Grafana, promtool and others.

The paths are those of Prometheus below `/prometheus`, as in Mimir. `functions/alerts` serves the
rules and alerts.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from typing import Any

from fastapi import APIRouter, Request, Response

from pulseboard import __version__
from pulseboard.auth.access import PrometheusReader
from pulseboard.catalogue import selected_label_queries
from pulseboard.catalogue.last_seen import SampleTimes
from pulseboard.core.exceptions import InvalidRequest
from pulseboard.core.settings import settings
from pulseboard.db import database
from pulseboard.promql.ast import Select
from pulseboard.promql.functions import Type
from pulseboard.promql.parser import parse_any
from pulseboard.promql.printer import printed
from pulseboard.promql.times import Times
from pulseboard.promql.types import type_of
from pulseboard.query import exact_queries
from pulseboard.query.exact_queries import ExactQuery
from pulseboard.query.exposition import exposition
from pulseboard.query.prometheus_format import (
    TRUNCATED,
    CannotExecute,
    duration_of,
    encode_data,
    encode_result,
    invalid,
    time_of,
)
from pulseboard.query.response import compressed
from pulseboard.web.clock import Now
from pulseboard.web.prometheus import Parameters, PrometheusRoute
from pulseboard.web.prometheus_errors import PREFIX

router = APIRouter(
    prefix=PREFIX, tags=["prometheus"], route_class=PrometheusRoute, include_in_schema=False
)
_BOTH = ["GET", "POST"]
_LANGUAGE = "3.0.0"
"""The version of Prometheus whose language and API these are."""
_MAX_TEXT = 20_000
_NAME = "__name__"


@router.api_route("/api/v1/query", methods=_BOTH)
def query_instant(
    caller: PrometheusReader, given: Parameters, request: Request, now: Now
) -> Response:
    """The value of an expression at one time."""
    at = time_of(given["time"], "time") if given["time"] else _to_milliseconds(now)
    query = _query(given, Times(at, 0.0, 1))
    with _executing():
        result = exact_queries.execute_instant(query, now=now)
    return _json(request, encode_result(result, time=at, limit=_limit(given)))


@router.api_route("/api/v1/query_range", methods=_BOTH)
def query_range(
    caller: PrometheusReader, given: Parameters, request: Request, now: Now
) -> Response:
    """The values of an expression from `start` to `end`, each `step`."""
    start, end = time_of(given["start"], "start"), time_of(given["end"], "end")
    if end < start:
        raise invalid("end", "end timestamp must not be before start time")
    step = duration_of(given["step"], "step")
    if step <= 0:
        raise invalid("step", "zero or negative query resolution step widths are not accepted")
    # In milliseconds: 0.1 s is no whole number of bits.
    count = (round(end * 1000) - round(start * 1000)) // max(round(step * 1000), 1) + 1
    query = _query(given, Times(start, step, count))
    of = type_of(query.tree)
    if of not in (Type.SCALAR, Type.VECTOR):
        raise invalid(
            "query",
            f'invalid expression type "{of}" for range query, must be Scalar or instant Vector',
        )
    with _executing():
        result = exact_queries.execute_range(query, now=now)
    return _json(request, encode_result(result, time=end, limit=_limit(given)))


def _query(given: Parameters, times: Times) -> ExactQuery:
    text = given["query"]
    if len(text) > _MAX_TEXT:
        raise invalid("query", f"it has more than {_MAX_TEXT} characters")
    lookback = given["lookback_delta"]
    timeout = given["timeout"]
    return ExactQuery(
        tree=parse_any(text),
        text=text,
        times=times,
        lookback_delta=duration_of(lookback, "lookback_delta") if lookback else None,
        timeout=max(duration_of(timeout, "timeout"), 0.001) if timeout else None,
    )


@contextmanager
def _executing() -> Iterator[None]:
    """What is invalid only once it is computed is Prometheus' error of execution."""
    try:
        yield
    except InvalidRequest as error:
        raise CannotExecute.of(error) from error


@router.api_route("/api/v1/format_query", methods=_BOTH)
def format_query(caller: PrometheusReader, given: Parameters, request: Request) -> Response:
    """An expression in the usual form."""
    return _json(request, encode_data(printed(parse_any(given["query"][: _MAX_TEXT + 1]))))


@router.api_route("/api/v1/labels", methods=_BOTH)
def list_labels(
    caller: PrometheusReader, given: Parameters, request: Request, now: Now
) -> Response:
    """The keys of all labels, or of those of the series of selectors."""
    return _catalogue(given, request, now, selected_label_queries.label_names)


@router.get("/api/v1/label/{name}/values")
def list_label_values(
    caller: PrometheusReader, name: str, given: Parameters, request: Request, now: Now
) -> Response:
    """The values of a label. A name that needs it is sent as `U__…`, with `_` as `__`."""
    key = selected_label_queries.unescaped(name)
    return _catalogue(
        given,
        request,
        now,
        lambda *args, **kwargs: selected_label_queries.label_values(*args, key=key, **kwargs),
    )


@router.api_route("/api/v1/series", methods=_BOTH)
def list_series(
    caller: PrometheusReader, given: Parameters, request: Request, now: Now
) -> Response:
    """The labels of the series of selectors."""
    if not given.all("match[]"):
        raise InvalidRequest("no match[] parameter provided")
    return _catalogue(given, request, now, selected_label_queries.series_labels)


def _catalogue(
    given: Parameters, request: Request, now: datetime, find: Callable[..., list[Any]]
) -> Response:
    limit = min(_limit(given) or settings().query_max_found, settings().query_max_matched)
    with database.connection() as connection:
        found = find(
            connection,
            selectors=_selectors(given),
            times=_times(given, now),
            limit=limit + 1,
            seconds=settings().query_timeout,
        )
    return _json(
        request, encode_data(found[:limit], warnings=[TRUNCATED] if len(found) > limit else [])
    )


def _selectors(given: Parameters) -> list[Select]:
    found = []
    for text in given.all("match[]"):
        tree = parse_any(text[: _MAX_TEXT + 1])
        if not isinstance(tree, Select) or tree.window is not None:
            raise invalid("match[]", f"{text[:100]} is no selector of series")
        found.append(tree)
    return found


def _times(given: Parameters, now: datetime) -> SampleTimes:
    """Without a range what has had samples lately counts, as in the lists of the app."""
    end = time_of(given["end"], "end") if given["end"] else now.timestamp()
    start = time_of(given["start"], "start") if given["start"] else end - settings().series_active
    if end < start:
        raise invalid("end", "end timestamp must not be before start timestamp")
    return SampleTimes.around(start, end)


@router.get("/api/v1/metadata")
def list_metadata(caller: PrometheusReader, given: Parameters, request: Request) -> Response:
    """Type, help and unit of metrics, by name."""
    limit = _limit(given) or settings().query_max_found
    with database.connection() as connection:
        found = selected_label_queries.metadata(
            connection, name=given["metric"] or None, limit=limit + 1
        )
    listed = dict(islice(found.items(), limit))
    return _json(request, encode_data(listed, warnings=[TRUNCATED] if len(found) > limit else []))


@router.api_route("/api/v1/query_exemplars", methods=_BOTH)
def list_exemplars(caller: PrometheusReader, request: Request) -> Response:
    """Exemplars: none are stored."""
    return _json(request, encode_data([]))


@router.get("/api/v1/status/buildinfo")
def get_build(caller: PrometheusReader, request: Request) -> Response:
    """Which version of Prometheus' API this is."""
    build = dict.fromkeys(("branch", "buildUser", "buildDate", "goVersion"), "")
    revision = f"pulseboard-{__version__}"
    return _json(request, encode_data({"version": _LANGUAGE, "revision": revision, **build}))


@router.get("/federate")
def federate(caller: PrometheusReader, given: Parameters, now: Now) -> Response:
    """The newest samples of the series of selectors, in Prometheus' text format."""
    lines = []
    selectors = _selectors(given)
    if not selectors:
        raise InvalidRequest("no match[] parameter provided")
    at = _to_milliseconds(now)
    for tree in selectors:
        # The time of each sample is part of it.
        text = printed(tree)
        query = ExactQuery(tree, text, Times(at, 0.0, 1))
        with _executing():
            lines += exact_queries.execute_dated(query, now=now)
    names = sorted({line.labels.get(_NAME, "") for line in lines})
    with database.connection() as connection:
        kinds = selected_label_queries.kinds(connection, names=names)
    return Response(exposition(lines, kinds), media_type="text/plain; version=0.0.4; charset=utf-8")


@router.get("/")
def get_prometheus_root() -> Response:
    """What clients ask for to see whether anything is there."""
    return Response("Prometheus' HTTP API, by Pulseboard.\n", media_type="text/plain")


@router.get("/-/healthy")
def get_prometheus_health() -> Response:
    """Liveness check."""
    return Response("Pulseboard is Healthy.\n", media_type="text/plain")


@router.get("/-/ready")
def get_prometheus_readiness() -> Response:
    """Readiness check."""
    return Response("Pulseboard is Ready.\n", media_type="text/plain")


def _to_milliseconds(now: datetime) -> float:
    return math.floor(now.timestamp() * 1000) / 1000


def _limit(given: Parameters) -> int:
    """How many series or names at most; 0: as many as there are."""
    text = given["limit"]
    if not text:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise invalid("limit", f'cannot parse "{text[:40]}" to a number')
    return int(text)


def _json(request: Request, body: bytes) -> Response:
    content, headers = compressed(request, body)
    return Response(content, media_type="application/json", headers=headers)
