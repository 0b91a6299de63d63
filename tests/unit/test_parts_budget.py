"""Small bodies of many parts are refused before all of them are read."""

import asyncio
from collections.abc import Callable, Iterator
from uuid import uuid4

import cramjam
import pytest

from pulseboard.core.exceptions import PayloadTooLarge, Unavailable
from pulseboard.core.settings import settings
from pulseboard.ingest.batch import Batch, BatchLimits
from pulseboard.ingest.concurrency_limiter import turn
from pulseboard.ingest.decoders import influx, otlp, remote_write
from pulseboard.ingest.decoders.datadog.protobuf import decode_series, decode_sketches
from pulseboard.ingest.decoders.protobuf_wire import encoded_text
from pulseboard.ingest.decoders.series_memo import SeriesMemo
from tests.support.own_thread import in_own_thread

NOW = 1_800_000_000_000
PARTS, POINTS = 1_000, 100
LIMITS = BatchLimits(points=POINTS, tags=5, errors=10, max_age=86_400, max_ahead=600, parts=PARTS)
MANY = 4 * PARTS


def write(body: bytes) -> Batch:
    packed = bytes(cramjam.snappy.compress_raw(body))
    memo = SeriesMemo(0)
    return remote_write.decode(packed, now=NOW, limits=LIMITS, inflated=10**7, series_memo=memo)


def export(body: bytes) -> Batch:
    choice = otlp.AttributeChoice(())
    return otlp.from_protobuf(
        body, now=NOW, limits=LIMITS, choice=choice, series_memo=SeriesMemo(0)
    )


def lines(body: bytes) -> Batch:
    return influx.decode(
        body,
        now=NOW,
        limits=LIMITS,
        precision=influx.Precision("ns"),
        series_memo=SeriesMemo(0),
    )


def series(body: bytes) -> Batch:
    return decode_series(body, now=NOW, limits=LIMITS, series_memo=SeriesMemo(0))


def sketches(body: bytes) -> Batch:
    return decode_sketches(body, now=NOW, limits=LIMITS, series_memo=SeriesMemo(0))


def nested(content: bytes, *numbers: int) -> bytes:
    for number in reversed(numbers):
        content = encoded_text(number, content)
    return content


@pytest.mark.parametrize(
    ("decode", "body"),
    [
        (write, nested(b"\x0a\x00" * MANY, 1)),
        (write, nested(b"\x0a\x03\x0a\x01a" * MANY, 1)),
        (write, nested(b"\x18\x01" * MANY, 1)),
        (write, nested(b"\x18\x01" * MANY, 1, 1)),
        (write, nested(b"\x18\x01" * MANY, 1, 2)),
        (write, nested(b"\x1a\x00" * MANY, 1)),
        (write, nested(b"\x30\x01" * MANY, 3)),
        (export, b"\x0a\x00" * MANY),
        (export, nested(b"\x0a\x00" * MANY, 1)),
        (export, nested(b"\x12\x00" * MANY, 1)),
        (export, nested(b"\x0a\x00" * MANY, 1, 2)),
        (export, nested(b"\x12\x00" * MANY, 1, 2)),
        (export, nested(b"\x2a\x00" * MANY, 1, 2, 2)),
        (export, nested(b"\x0a\x00" * MANY, 1, 2, 2, 5)),
        (export, b"\x30\x01" * MANY),
        (export, nested(b"\x78\x01" * MANY, 1)),
        (export, nested(b"\x78\x01" * MANY, 1, 2)),
        (export, nested(b"\x78\x01" * MANY, 1, 2, 2)),
        (export, nested(b"\x78\x01" * MANY, 1, 2, 2, 5, 1)),
        (series, b"\x50\x01" * MANY),
        (series, nested(b"\x50\x01" * MANY, 1)),
        (series, nested(b"\x50\x01" * MANY, 1, 4)),
        (sketches, nested(b"\x50\x01" * MANY, 1, 7)),
        (lines, b"\n" * MANY),
        (lines, b"#\n" * MANY),
        (lines, b"m " + b"a=1," * MANY + b"b=1"),
        (lines, b"m " + b'a="",' * MANY + b"b=1"),
        (lines, (b"m " + b"a=1," * (POINTS // 2) + b" \n") * (POINTS - 1)),
    ],
)
def test_a_small_body_of_many_parts_is_refused(
    decode: Callable[[bytes], Batch], body: bytes
) -> None:
    with pytest.raises(PayloadTooLarge, match="more than"):
        decode(body)


@pytest.fixture
def one_at_once(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("PULSEBOARD_INGEST_MAX_AT_ONCE", "1")
    monkeypatch.setenv("PULSEBOARD_INGEST_MAX_WAITING_BYTES", "10")
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.mark.usefixtures("one_at_once")
def test_ingest_waits_for_its_turn_and_is_refused_beyond() -> None:
    async def run() -> None:
        async def waiting() -> bool:
            async with turn(5):
                return True

        async with turn(5):
            second = asyncio.create_task(waiting())
            await asyncio.sleep(0)
            assert not second.done()
            with pytest.raises(Unavailable) as refused:
                async with turn(9):
                    pass
            assert refused.value.retry_after > 0
        assert await second

    in_own_thread(lambda: asyncio.run(run()))


@pytest.mark.usefixtures("one_at_once")
def test_one_key_neither_fills_the_queue_nor_goes_before_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PULSEBOARD_INGEST_MAX_WAITING_BYTES_OF_KEY", "6")
    settings.cache_clear()
    keys = {name: uuid4() for name in ("greedy", "calm", "quiet")}
    served: list[str] = []

    async def run() -> None:
        async def one(name: str) -> None:
            async with turn(2, keys[name]):
                served.append(name)
                await asyncio.sleep(0)

        async with turn(0, keys["greedy"]):
            tasks = [asyncio.create_task(one("greedy")) for _ in range(3)]
            await asyncio.sleep(0)
            with pytest.raises(Unavailable, match="Many requests with this key wait"):
                await one("greedy")
            tasks += [asyncio.create_task(one(name)) for name in ("calm", "quiet")]
            await asyncio.sleep(0)
            # One that goes away leaves no turn behind.
            tasks[1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        async with turn(1, keys["greedy"]):
            served.append("again")

    in_own_thread(lambda: asyncio.run(run()))
    assert served == ["greedy", "calm", "quiet", "greedy", "again"]
