"""Every decoder of request bodies, with seed bodies, for fuzzing and property tests.

`decode_checked` holds what all must fulfil: a decoder returns a batch of finite values within
limits, or raises one of the errors that become 4xx responses.
"""

import json
import struct
from collections.abc import Callable
from functools import partial
from hashlib import blake2b
from math import isfinite
from typing import Any, NamedTuple
from uuid import UUID

import cramjam

from bench import bodies
from pulseboard.catalogue.series_key import SeriesKey
from pulseboard.core.exceptions import InvalidRequest, PayloadTooLarge
from pulseboard.ingest import spill_file
from pulseboard.ingest.batch import Batch, BatchLimits
from pulseboard.ingest.decoders import collectd, influx, json_points, otlp, remote_write
from pulseboard.ingest.decoders.datadog import json_series, protobuf, version3
from pulseboard.ingest.decoders.series_memo import SeriesMemo
from tests.support import datadog_columns, datadog_messages

NOW = 1_800_000_000_000
_SECONDS = NOW // 1000
LIMITS = BatchLimits(
    points=1000, tags=10, errors=10, max_age=6 * 86_400, max_ahead=600, parts=1_000_000
)
_CHOICE = otlp.AttributeChoice(("host.name",), scope=True)
_ROWS = [("up", {"a": "b"}, NOW, 1.5), ("up", {"a": "b"}, NOW, 0.0), ("x.y", {}, 5, -1.0)]


class Decoder(NamedTuple):
    """A decoder and valid bodies for it."""

    decode: Callable[[bytes], Batch]
    seeds: tuple[bytes, ...]


def _known() -> SeriesMemo:
    return SeriesMemo(1_000_000)


def _snappy(body: bytes, known: SeriesMemo) -> Batch:
    # Compressed here: almost no change of a compressed body would reach the messages in it.
    packed = bytes(cramjam.snappy.compress_raw(body))
    return remote_write.decode(
        packed, now=NOW, limits=LIMITS, inflated=1_000_000, series_memo=known
    )


_PRELUDE = struct.Struct("<4sBB16s")


def _spilled(payload: bytes) -> Batch:
    # Sealed here, for the same reason.
    body = struct.pack("<I", len(payload)) + bytes(cramjam.zstd.compress(payload))
    seal = _PRELUDE.pack(b"PBSP", 1, 1, blake2b(body, digest_size=16).digest())
    try:
        batch = spill_file.decode(seal + body).batch
    except spill_file.Unreadable as error:
        raise InvalidRequest(str(error)) from None
    # Values were validated before the batch was spilled.
    batch.values = [value if isfinite(value) else 0.0 for value in batch.values]
    return batch


def _payload(batch: Batch) -> bytes:
    """What `_spilled` seals, of a batch."""
    data = spill_file.encode(spill_file.SpilledBatch(batch, UUID(int=7), NOW))
    return bytes(cramjam.zstd.decompress(data[_PRELUDE.size + 4 :]))


_KEY = SeriesKey.of("up", {"a": "b"})
_SERIES = {"metric": "m", "points": [[_SECONDS, 1.5]], "tags": ["a:b"], "host": "h"}


def decoders() -> dict[str, Decoder]:
    """All decoders, by name. Each has its own series memo."""
    both: dict[str, Any] = {"now": NOW, "limits": LIMITS}
    points = {
        "resourceMetrics": [
            {
                "scopeMetrics": [
                    {
                        "metrics": [
                            {
                                "name": "m",
                                "sum": {
                                    "dataPoints": [{"timeUnixNano": f"{NOW}000000", "asInt": "1"}],
                                    "isMonotonic": True,
                                },
                            }
                        ]
                    }
                ]
            }
        ]
    }
    return {
        "json": Decoder(partial(json_points.parse, **both), (bodies.json_points(_ROWS),)),
        "remote_write": Decoder(
            partial(_snappy, known=_known()),
            (bytes(cramjam.snappy.decompress_raw(bodies.remote_write(_ROWS))),),
        ),
        "otlp": Decoder(
            partial(otlp.from_protobuf, **both, choice=_CHOICE, series_memo=_known()),
            (bodies.otlp(_ROWS),),
        ),
        "otlp_json": Decoder(
            partial(otlp.from_json_text, **both, choice=_CHOICE, series_memo=_known()),
            (json.dumps(points).encode(),),
        ),
        "influx": Decoder(
            partial(influx.decode, **both, precision=influx.Precision("ns"), series_memo=_known()),
            (b'cpu,host=a\\ b usage=1.5,n=3i,ok=t,s="x" 1800000000000000000\n# no\n',),
        ),
        "datadog": Decoder(
            partial(protobuf.decode_series, **both, series_memo=_known()),
            (
                datadog_messages.payload(
                    [
                        datadog_messages.series("a.b", [(_SECONDS, 1.5)], tags=["a:b"], unit="s"),
                        datadog_messages.series("c", [], kind=1, interval=10),
                    ]
                ),
            ),
        ),
        "datadog_sketches": Decoder(
            partial(protobuf.decode_sketches, **both, series_memo=_known()),
            (
                datadog_messages.payload(
                    [datadog_messages.sketch("d", [(_SECONDS, 4, 1, 4, 2.5, 10)], tags=["a:b"])]
                ),
            ),
        ),
        "datadog_version3": Decoder(
            partial(version3.decode_version3, **both, series_memo=_known()),
            (
                datadog_columns.Payload(tags=["of:all"], resources=["device", "sda"])
                .add("a.b", [(_SECONDS, 1.5), (_SECONDS, 2)], tags=["a:b", "c"], unit="s")
                .add("c", [(_SECONDS, 3)], kind=1, held=datadog_columns.INTEGERS, interval=10)
                .encoded(),
                datadog_columns.Payload()
                .add("d", [(_SECONDS, (2, 4, 1, 3))], kind=4, held=datadog_columns.FLOATS)
                .add("e", [(_SECONDS, 0)], held=datadog_columns.ZERO)
                .encoded(),
            ),
        ),
        "datadog_json": Decoder(
            partial(json_series.decode_json, **both, series_memo=_known()),
            (
                json.dumps({"series": [_SERIES]}).encode(),
                # Points of a distribution.
                json.dumps({"series": [{**_SERIES, "points": [[_SECONDS, [1, 2.5]]]}]}).encode(),
            ),
        ),
        "collectd": Decoder(
            partial(collectd.decode, **both, series_memo=_known()),
            (
                b'[{"values":[1.5],"dsnames":["value"],"dstypes":["gauge"],"time":1800000000.5,'
                b'"host":"h","plugin":"cpu","plugin_instance":"0","type":"gauge",'
                b'"type_instance":""}]',
            ),
        ),
        "spilled": Decoder(
            _spilled,
            (
                _payload(Batch()),
                _payload(Batch([_KEY, _KEY], [NOW, 5], [1.5, 0.0], stale_markers=[(_KEY, NOW)])),
            ),
        ),
    }


def decode_checked(decoder: Decoder, body: bytes) -> Batch | None:
    """The decoded batch, or None when it was refused. Raises AssertionError otherwise."""
    try:
        batch = decoder.decode(body)
    except (InvalidRequest, PayloadTooLarge):
        return None
    sizes = {len(batch.series), len(batch.times), len(batch.values)}
    if len(sizes) > 1 or len(batch.values) > LIMITS.points * 10:
        raise AssertionError(f"columns of {sizes}")
    if batch.positions and len(batch.positions) != len(batch.series):
        raise AssertionError(f"{len(batch.positions)} positions of {len(batch.series)} samples")
    if not all(map(isfinite, batch.values)):
        raise AssertionError("a value that is not finite")
    if len(batch.issues) > LIMITS.errors:
        raise AssertionError(f"{len(batch.issues)} issues")
    return batch
