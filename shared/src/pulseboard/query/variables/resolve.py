"""Lists the values of a chain of variables, each with what is chosen of those before it."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from time import monotonic

import psycopg
from pydantic import ValidationError

from pulseboard.catalogue import selected_label_queries
from pulseboard.catalogue.last_seen import SampleTimes
from pulseboard.catalogue.series_key import NAME
from pulseboard.contracts.base import format_interval
from pulseboard.contracts.queries import QueryParams
from pulseboard.contracts.variables import (
    ChosenValues,
    ResolvedVariable,
    ResolveVariables,
    Variable,
    VariableType,
)
from pulseboard.core.exceptions import InvalidRequest, PulseboardError, Unavailable
from pulseboard.core.patterns import compiled
from pulseboard.core.settings import settings
from pulseboard.db import database
from pulseboard.query import engine, limits
from pulseboard.query.variables import options
from pulseboard.query.variables.interpolate import Chosen, fill, references
from pulseboard.query.variables.variable_query import (
    LabelNames,
    LabelValues,
    MetricNames,
    QuerySeries,
    VariableQuery,
    parse_query,
)

_NEWEST = 15
"""Seconds: the step of a query of which one point is read."""


def resolve(body: ResolveVariables, *, now: datetime) -> list[ResolvedVariable]:
    """The values of each variable, in the order of the request.

    What goes wrong with one variable is its own error; those that refer to it go on without it.
    All together have `query_batch_timeout`. Raises Unavailable when the database does not respond.
    """
    deadline = monotonic() + settings().query_batch_timeout
    scope = {
        each.name: Chosen(tuple(each.values), all=each.all, all_value=each.all_value)
        for each in body.given
    }
    scope |= _range_scope(body.start, body.end)
    names = {variable.name for variable in body.variables} | {each.name for each in body.given}
    wanted = {each.name: each for each in body.wanted}
    found: dict[str, ResolvedVariable] = {}
    for variable in in_order(body.variables):
        depends = bool((sources(variable) & names) - {variable.name})
        resolved = _resolved(
            variable,
            scope,
            body,
            now=now,
            wanted=wanted.get(variable.name),
            depends=depends,
            deadline=deadline,
        )
        found[variable.name] = resolved
        scope[variable.name] = Chosen(
            tuple(resolved.chosen.values), all=resolved.chosen.all, all_value=variable.all_value
        )
    return [found[variable.name] for variable in body.variables]


def sources(variable: Variable) -> set[str]:
    """The names of the variables that a variable's values depend on."""
    texts = (variable.query, variable.regex, variable.metric)
    return {name for text in texts if text for name in references(text)}


def in_order(variables: Sequence[Variable]) -> list[Variable]:
    """Each after those that it refers to; in a circle, the first listed comes first."""
    waiting = {variable.name: variable for variable in variables}
    ordered: list[Variable] = []
    while waiting:
        free = [v for v in waiting.values() if not (sources(v) - {v.name}) & waiting.keys()]
        ordered += [waiting.pop(v.name) for v in free or [next(iter(waiting.values()))]]
    return ordered


def _range_scope(start: datetime, end: datetime) -> dict[str, Chosen]:
    seconds = max(1, round((end - start).total_seconds()))
    values = {
        "__range": format_interval(seconds),
        "__range_s": str(seconds),
        "__range_ms": str(seconds * 1000),
        "__from": str(round(start.timestamp() * 1000)),
        "__to": str(round(end.timestamp() * 1000)),
    }
    return {name: Chosen((value,)) for name, value in values.items()}


def _resolved(
    variable: Variable,
    scope: Mapping[str, Chosen],
    body: ResolveVariables,
    *,
    now: datetime,
    wanted: ChosenValues | None,
    depends: bool,
    deadline: float,
) -> ResolvedVariable:
    most = settings().variable_max_values
    try:
        if monotonic() > deadline:
            raise InvalidRequest(
                f"The variables before it took {settings().query_batch_timeout:g} s, which all of "
                "them may take together."
            )
        found = list(_texts(variable, scope, body, now=now))
        regex = fill(variable.regex, scope) if variable.regex else None
        listed = options.options_of(found, variable, regex=regex)
    except Unavailable:
        raise
    except Exception as unexpected:  # noqa: BLE001 - one variable must never harm the others
        error = _own_error(unexpected)
        kept = wanted or ChosenValues(name=variable.name, values=variable.default)
        return ResolvedVariable(name=variable.name, options=[], chosen=kept, error=error.message)
    shown = listed[:most]
    return ResolvedVariable(
        name=variable.name,
        options=shown,
        truncated=len(listed) > most or len(found) >= settings().variable_max_series,
        chosen=options.choose(variable, shown, wanted, depends=depends),
    )


def _own_error(error: Exception) -> PulseboardError:
    if isinstance(error, psycopg.errors.QueryCanceled):
        return limits.timed_out(settings().query_timeout)
    if isinstance(error, psycopg.Error) and database.is_outage(error):
        raise error
    if isinstance(error, ValidationError):
        reasons = "; ".join(each["msg"] for each in error.errors(include_url=False))
        return InvalidRequest(f"With the values that are chosen, its query is not valid: {reasons}")
    return engine.own_error(error)


def _texts(
    variable: Variable, scope: Mapping[str, Chosen], body: ResolveVariables, *, now: datetime
) -> Iterator[str]:
    """What the variable's query finds, before its pattern."""
    if variable.type not in (VariableType.TAG, VariableType.QUERY):
        yield from variable.values
        return
    if variable.type is VariableType.TAG:
        query: VariableQuery = LabelValues(variable.tag or "", fill(variable.metric or "", scope))
    else:
        query = parse_query(fill(variable.query or "", scope))
    if isinstance(query, QuerySeries):
        yield from _series_texts(query.expression, now=now, end=body.end)
        return
    times = SampleTimes.around(body.start.timestamp(), body.end.timestamp())
    configured = settings()
    most, seconds = configured.variable_max_series, configured.query_timeout
    with database.connection() as connection:
        match query:
            case MetricNames():
                # Their pattern is RE2's: all names are read.
                known = selected_label_queries.label_values(
                    connection,
                    key=NAME,
                    selectors=(),
                    times=times,
                    limit=configured.query_max_matched,
                    seconds=seconds,
                )
                pattern = compiled(query.pattern)
                yield from (name for name in known if pattern.search(name))
            case LabelValues():
                yield from selected_label_queries.label_values(
                    connection,
                    key=query.label,
                    selectors=(query,),
                    times=times,
                    limit=most,
                    seconds=seconds,
                )
            case LabelNames():
                yield from selected_label_queries.label_names(
                    connection, selectors=(query,), times=times, limit=most, seconds=seconds
                )


def _series_texts(expression: str, *, now: datetime, end: datetime) -> Iterator[str]:
    """The series of an expression at `end`, each as `name{key="value"} value time`."""
    params = QueryParams(
        query=expression, start=end - timedelta(seconds=_NEWEST), end=end, step=f"{_NEWEST}s"
    )
    result = engine.execute(params, now=now)
    times = result.timestamps()
    for line in result.lines:
        point = next((i for i in range(len(times) - 1, -1, -1) if _is_value(line.values[i])), None)
        if point is not None:
            tags = ",".join(f'{key}="{value}"' for key, value in sorted(line.tags.items()))
            yield f"{line.name}{{{tags}}} {line.values[point]:.17g} {times[point]}"


def _is_value(value: float) -> bool:
    return value == value  # NaN: no value
