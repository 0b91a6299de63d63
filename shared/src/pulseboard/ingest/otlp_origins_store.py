"""Which OpenTelemetry resources and scopes have the plain tags, the same for all processes.

The decision is stored, so that it holds across requests: a process caches it, and says once in a
while that a resource still sends. While the database does not respond, what this process knows
holds, and new ones are told apart within their request; a note says so.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from threading import Lock
from time import time
from typing import Any

import psycopg

from pulseboard.core.exceptions import Unavailable
from pulseboard.core.freshness import is_fresh
from pulseboard.core.process_state import on_reset
from pulseboard.core.settings import settings
from pulseboard.db import database
from pulseboard.ingest import spill
from pulseboard.ingest.decoders.otlp_origins import OriginsOfRequest, ResourceClaim, ScopeClaim

_MOST_CACHED = 200_000
_EXPIRY_EVERY = 3600.0
# Of a lease: how often a resource is noted as seen.
_SEEN_EVERY = 0.1
UNCHECKED = (
    "the database does not respond: resources and scopes that it would tell apart from those of "
    "other requests are not yet"
)

# Both served by otlp_resources_pkey. Rows are locked in one order.
_SEEN = """
with claims as (
  select * from unnest(%(tags)s::bytea[], %(resources)s::bytea[]) as w (tags, resource)
), due as (
  select r.tags, r.resource from otlp_resources r join claims using (tags, resource)
  where r.seen_at between now() - %(lease)s and now() - %(pause)s
  order by r.tags, r.resource for update of r
), seen as (
  update otlp_resources r set seen_at = now() from due
  where r.tags = due.tags and r.resource = due.resource
)
select r.tags, r.resource, r.plain from otlp_resources r join claims using (tags, resource)
where r.seen_at >= now() - %(lease)s
"""
# Served by otlp_scopes_pkey. The first scope stays.
_SCOPES = """
with claims as (
  select * from unnest(%(tags)s::bytea[], %(resources)s::bytea[], %(metrics)s::bytea[],
    %(scopes)s::bytea[]) with ordinality as w (tags, resource, metric, scope, n)
), added as (
  insert into otlp_scopes (tags, resource, metric, scope)
  select distinct on (tags, resource, metric) tags, resource, metric, scope
  from claims order by tags, resource, metric, n
  on conflict do nothing
  returning tags, resource, metric, scope
)
select tags, resource, metric, scope from added
union all
select s.tags, s.resource, s.metric, s.scope from otlp_scopes s
join (select distinct tags, resource, metric from claims) c using (tags, resource, metric)
"""

_lock = Lock()
_resources: dict[ResourceClaim, tuple[bool, float]] = {}
_scopes: dict[tuple[ResourceClaim, bytes], bytes] = {}
_expired_at = 0.0


@on_reset
def reset() -> None:
    """Know nothing."""
    global _expired_at
    with _lock:
        _resources.clear()
        _scopes.clear()
        _expired_at = 0.0


class StoredOrigins:
    """The `Origins` of one request. `note` is set when the database could not be asked."""

    def __init__(self) -> None:
        self.note: str | None = None
        self._request = OriginsOfRequest()

    def resources(self, claims: Sequence[ResourceClaim]) -> Sequence[bool]:
        """As in Origins."""
        lease = float(settings().otlp_resource_lease)
        distinct = dict.fromkeys(claims)
        with _lock:
            due = [
                claim
                for claim in distinct
                if claim not in _resources
                or not is_fresh(_resources[claim][1], lease * _SEEN_EVERY)
            ]
        if due:
            self._try(lambda connection: _claim_resources(connection, due, lease))
        with _lock:
            known = {claim: _resources[claim][0] for claim in distinct if claim in _resources}
        return self._decided(claims, known)

    def _decided(
        self, claims: Sequence[ResourceClaim], known: Mapping[ResourceClaim, bool]
    ) -> Sequence[bool]:
        if len(known) == len(set(claims)):
            return [known[claim] for claim in claims]
        # Those that are known to have the plain tags come first.
        self._request.resources([claim for claim, plain in known.items() if plain])
        return [
            known[claim] if claim in known else self._request.resources([claim])[0]
            for claim in claims
        ]

    def scopes(self, claims: Sequence[ScopeClaim]) -> Sequence[bool]:
        """As in Origins."""
        with _lock:
            due = [claim for claim in claims if (claim.resource, claim.metric) not in _scopes]
        if due and self.note is None:
            self._try(lambda connection: _claim_scopes(connection, due))
        with _lock:
            found = [_scopes.get((claim.resource, claim.metric)) for claim in claims]
        return [
            owner == claim.scope if owner is not None else self._request.scopes([claim])[0]
            for claim, owner in zip(claims, found, strict=True)
        ]

    def _try(self, claim: Any) -> None:
        can_spill = spill.backend() is not None
        try:
            with (
                database.fail_fast_connection()
                if can_spill
                else database.connection(purpose="write")
            ) as connection:
                claim(connection)
        except (Unavailable, psycopg.OperationalError):
            # The write that follows says so too, or spills the batch.
            self.note = UNCHECKED


def _claim_resources(
    connection: psycopg.Connection[Any], due: Sequence[ResourceClaim], lease: float
) -> None:
    since = time()
    times = {
        "lease": timedelta(seconds=lease),
        "pause": timedelta(seconds=lease * _SEEN_EVERY / 2),
    }
    tags, resources = [claim.tags for claim in due], [claim.resource for claim in due]
    rows = connection.execute(_SEEN, {"tags": tags, "resources": resources, **times}).fetchall()
    found = {ResourceClaim(bytes(tags), bytes(own)): plain for tags, own, plain in rows}
    new = [claim for claim in due if claim not in found]
    if new:
        row = connection.execute(
            "select claim_otlp_resources(%s, %s, %s)",
            ([each.tags for each in new], [each.resource for each in new], times["lease"]),
        ).fetchone()
        found.update(zip(new, row[0] if row else [], strict=True))
        _expire(connection)
    with _lock:
        if len(_resources) + len(found) > _MOST_CACHED:
            _resources.clear()
        _resources.update({claim: (plain, since) for claim, plain in found.items()})


def _claim_scopes(connection: psycopg.Connection[Any], due: Sequence[ScopeClaim]) -> None:
    rows = connection.execute(
        _SCOPES,
        {
            "tags": [claim.resource.tags for claim in due],
            "resources": [claim.resource.resource for claim in due],
            "metrics": [claim.metric for claim in due],
            "scopes": [claim.scope for claim in due],
        },
    ).fetchall()
    with _lock:
        if len(_scopes) + len(rows) > _MOST_CACHED:
            _scopes.clear()
        for tags, resource, metric, scope in rows:
            # A row that another process has just added is in neither part: it is read next time.
            _scopes[ResourceClaim(bytes(tags), bytes(resource)), bytes(metric)] = bytes(scope)


def _expire(connection: psycopg.Connection[Any]) -> None:
    """Delete what has not been seen for as long as a sample may be late; once an hour a process."""
    global _expired_at
    with _lock:
        if is_fresh(_expired_at, _EXPIRY_EVERY):
            return
        _expired_at = time()
    # A scan of a small table, once an hour.
    connection.execute(
        "delete from otlp_resources where seen_at < now() - %s",
        (timedelta(seconds=settings().ingest_max_age),),
    )
