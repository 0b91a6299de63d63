"""Each protocol's way in, end to end, beside a bare sorted COPY of the same rows.

A request holds one sample of each series, as agents send them. It comes with a real API key
through the whole application and ends in committed rows; the bare COPY writes as many rows of the
same series and values, packed before the clock starts. They alternate, on the same database.
Of each the fastest round counts: what else the machine does only ever adds.
"""

import asyncio
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import httpx
import psycopg

from bench import bodies, keys
from functions.dev import api
from pulseboard.catalogue import series_store
from pulseboard.contracts.vocabulary import Scope
from pulseboard.ingest import samples_store
from pulseboard.ingest.batch import Batch
from pulseboard.ingest.decoders import influx, json_points, otlp, remote_write
from pulseboard.ingest.decoders.datadog.protobuf import decode_series
from pulseboard.ingest.decoders.datadog.version3 import decode_version3
from pulseboard.ingest.write_path import limits, series_memo
from pulseboard.web.body import inflate, inflate_any

METRICS = 10
HOSTS = 1_000
ROUNDS = 24
WARM = 2
_INFLATED = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Protocol:
    """One protocol: how its bodies are built, sent and decoded. Times are milliseconds."""

    name: str
    path: str
    headers: Mapping[str, str]
    encode: Callable[[Sequence[bodies.Row]], bytes]
    decode: Callable[[bytes, int], Batch]


def _datadog(decode: Callable[..., Batch]) -> Callable[[bytes, int], Batch]:
    return lambda body, now: decode(
        inflate_any(body, limit=_INFLATED),
        now=now,
        limits=limits(),
        series_memo=series_memo("datadog"),
    )


PROTOCOLS = [
    Protocol(
        "JSON",
        "/api/v1/metrics",
        {"Content-Type": "application/json"},
        bodies.json_points,
        lambda body, now: json_points.parse(body, now=now, limits=limits()),
    ),
    Protocol(
        "OTLP",
        "/v1/metrics",
        {"Content-Type": "application/x-protobuf"},
        bodies.otlp,
        lambda body, now: otlp.from_protobuf(
            body,
            now=now,
            limits=limits(),
            choice=otlp.AttributeChoice(()),
            series_memo=series_memo("otlp"),
        ),
    ),
    Protocol(
        "remote write",
        "/api/v1/write",
        {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"},
        bodies.remote_write,
        lambda body, now: remote_write.decode(
            body,
            now=now,
            limits=limits(),
            inflated=_INFLATED,
            series_memo=series_memo("remote write"),
        ),
    ),
    Protocol(
        "Influx lines",
        "/api/v2/write",
        {"Content-Encoding": "gzip"},
        bodies.lines,
        lambda body, now: influx.decode(
            inflate(body, limit=_INFLATED),
            now=now,
            limits=limits(),
            precision=influx.Precision("ns"),
            series_memo=series_memo("influx"),
        ),
    ),
    Protocol(
        "Datadog",
        "/api/v2/series",
        {"Content-Type": "application/x-protobuf", "Content-Encoding": "zstd"},
        bodies.datadog_series,
        _datadog(decode_series),
    ),
    Protocol(
        "Datadog v3",
        "/api/intake/metrics/v3/series",
        {"Content-Type": "application/x-protobuf", "Content-Encoding": "zstd"},
        bodies.datadog_columns,
        _datadog(decode_version3),
    ),
]


@dataclass(slots=True)
class Measured:
    """Seconds of each round."""

    whole: list[float]
    cpu: list[float]
    decode: list[float]
    resolve: list[float]
    bare: list[float]


def run(database_url: str, redis_url: str, *, quick: bool = False) -> None:
    """Print, for each protocol, rates, the ratio to the bare COPY and where the time goes."""
    hosts = HOSTS // 10 if quick else HOSTS
    print(f"\nprotocols: {hosts * METRICS} samples a request, one of each series")
    print(
        f"{'':14}{'samples/s':>10} {'per CPU s':>10} {'bare COPY':>10} {'ratio':>6}"
        f" {'decode':>7} {'resolve':>8} {'rest':>6}"
    )
    for protocol in PROTOCOLS:
        _report(protocol, asyncio.run(_measure(protocol, database_url, hosts)), hosts * METRICS)


def _report(protocol: Protocol, measured: Measured, rows: int) -> None:
    # Of each round by itself: the machine may be twice as quick in the next.
    whole, bare = min(measured.whole), min(measured.bare)
    ratio = _of_rounds(measured.bare, measured.whole)
    decode = _of_rounds(measured.decode, measured.whole)
    resolve = _of_rounds(measured.resolve, measured.whole)
    share = decode + resolve
    print(
        f"{protocol.name:14}{rows / whole:10,.0f} {rows / min(measured.cpu):10,.0f}"
        f" {rows / bare:10,.0f} {ratio:6.2f} {decode:7.0%} {resolve:8.0%}"
        f" {1 - share:6.0%}"
    )
    if protocol.name == "remote write":
        for what, met in (
            (f"{ratio:.2f} × bare COPY (goal: 0.7)", ratio >= 0.7),
            (f"decode and resolve {share:.0%} of the time (goal: < 30 %)", share < 0.3),
        ):
            print(f"{'':14}{what}  {'met' if met else 'MISSED'}")


def _of_rounds(part: list[float], whole: list[float]) -> float:
    return median(one / all_ for one, all_ in zip(part, whole, strict=True))


async def _measure(protocol: Protocol, database_url: str, hosts: int) -> Measured:
    now = int(time.time() * 1000)
    measured = Measured([], [], [], [], [])
    transport = httpx.ASGITransport(app=api())
    with psycopg.connect(database_url, autocommit=True, prepare_threshold=None) as connection:
        key = keys.make(connection, Scope.INGEST)
        headers = {"Authorization": f"Bearer {key}", **protocol.headers}
        async with httpx.AsyncClient(transport=transport, base_url="http://bench") as client:
            for turn in range(ROUNDS):
                # Two turns' rows never meet: half a second lies between sent and copied ones.
                time_ = now - (ROUNDS - turn) * 1000
                rows = _rows(protocol, hosts, time_)
                body = protocol.encode(rows)
                cpu, began = time.process_time(), time.perf_counter()
                response = await client.post(protocol.path, content=body, headers=headers)
                measured.whole.append(time.perf_counter() - began)
                measured.cpu.append(time.process_time() - cpu)
                if not response.is_success:
                    raise RuntimeError(f"{protocol.name}: {response.status_code} {response.text}")
                _split(protocol, body, now, connection, measured)
    for name in ("whole", "cpu", "decode", "resolve", "bare"):
        # The first rounds make the series and warm the maps.
        del getattr(measured, name)[:WARM]
    return measured


def _split(
    protocol: Protocol,
    body: bytes,
    now: int,
    connection: psycopg.Connection[tuple[object, ...]],
    measured: Measured,
) -> None:
    """Decode and resolve alone, as the request did; then the bare COPY."""
    began = time.perf_counter()
    batch = protocol.decode(body, now)
    decoded = time.perf_counter()
    cached = series_store.cached()
    if cached is None or samples_store.cached_ids(batch.series, cached) is None:
        series_store.resolve(connection, keys=batch.series)
    measured.resolve.append(time.perf_counter() - decoded)
    measured.decode.append(decoded - began)
    batch.times = [time_ + 500 for time_ in batch.times]
    packed = samples_store.copy_data(batch)
    began = time.perf_counter()
    with connection.transaction(), connection.cursor().copy(samples_store.COPY) as target:
        target.write(packed)
    measured.bare.append(time.perf_counter() - began)


def _rows(protocol: Protocol, hosts: int, time_: int) -> list[bodies.Row]:
    family = protocol.name.replace(" ", "_").lower()
    return [
        (
            f"{family}_{metric}_total",
            {
                "instance": f"host-{host}.example.com:9100",
                "job": "node",
                "region": "eu-central-1",
                "service": f"service-{host % 20}",
            },
            time_,
            # Much of what is measured is zero, which protocol buffers leave out.
            0.0 if random.random() < 0.3 else random.random() * 1e6,
        )
        for host in range(hosts)
        for metric in range(METRICS)
    ]
