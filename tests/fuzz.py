"""Coverage-guided fuzzing of every decoder: `make fuzz`, or `python -m tests.fuzz NAME [options]`.

A decoder may give a batch of finite values or one of the errors that clients are told, nothing
else, and stay within bounds. Options are libFuzzer's, as -max_total_time=60. A body that breaks
this is left as a file `crash-…`, which can be given as an argument to see it again.
"""

import sys
import tempfile
from collections.abc import Callable
from math import isfinite
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["pulseboard.domain"]):
    from pulseboard.domain import ingest
    from pulseboard.domain.batch import Batch, Limits
    from pulseboard.domain.protocols import collectd, influx, otlp, remote_write
    from pulseboard.domain.protocols.datadog import json_series, payloads
    from pulseboard.domain.protocols.recognised import Recognised
    from pulseboard.exceptions import InvalidRequest, PayloadTooLarge

import cramjam

from bench import bodies

NOW = 1_800_000_000_000
LIMITS = Limits(points=1000, tags=10, errors=10, max_age=6 * 86_400, max_ahead=600)
KNOWN = Recognised(1_000_000)
CHOICE = otlp.Choice(frozenset({"host.name"}), scope=True)
ROWS = [("up", {"a": "b"}, NOW, 1.5), ("up", {"a": "b"}, NOW, 0.0), ("x.y", {}, 5, -1.0)]


def _snappy(body: bytes) -> Batch:
    # Compressed here: almost no change of a compressed body would reach the messages in it.
    packed = bytes(cramjam.snappy.compress_raw(body))
    return remote_write.decode(packed, now=NOW, limits=LIMITS, inflated=1_000_000, recognised=KNOWN)


DECODERS: dict[str, tuple[Callable[[bytes], Batch], bytes]] = {
    "json": (lambda body: ingest.parse(body, now=NOW, limits=LIMITS), bodies.json_points(ROWS)),
    "remote_write": (
        _snappy,
        bytes(cramjam.snappy.decompress_raw(bodies.remote_write(ROWS))),
    ),
    "otlp": (
        lambda body: otlp.from_protobuf(
            body, now=NOW, limits=LIMITS, choice=CHOICE, recognised=KNOWN
        ),
        bodies.otlp(ROWS),
    ),
    "otlp_json": (
        lambda body: otlp.from_json_text(
            body, now=NOW, limits=LIMITS, choice=CHOICE, recognised=KNOWN
        ),
        b'{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"m","sum":{"dataPoints":'
        b'[{"timeUnixNano":"1800000000000000000","asInt":"1"}],"isMonotonic":true}}]}]}]}',
    ),
    "influx": (
        lambda body: influx.decode(
            body,
            now=NOW,
            limits=LIMITS,
            precision=influx.Precision("ns"),
            recognised=Recognised(1_000_000),
        ),
        b'cpu,host=a\\ b usage=1.5,n=3i,ok=t,s="x" 1800000000000000000\n# no\n',
    ),
    "datadog_json": (
        lambda body: json_series.decode_json(body, now=NOW, limits=LIMITS, recognised=KNOWN),
        b'{"series":[{"metric":"m","points":[[1800000000,1.5]],"tags":["a:b"],"host":"h"}]}',
    ),
    "datadog": (
        lambda body: payloads.decode_series(body, now=NOW, limits=LIMITS, recognised=KNOWN),
        b"\x0a\x05\x12\x03a.b",
    ),
    "collectd": (
        lambda body: collectd.decode(body, now=NOW, limits=LIMITS, recognised=KNOWN),
        b'[{"values":[1.5],"dsnames":["value"],"time":1800000000.5,"host":"h","plugin":"cpu",'
        b'"plugin_instance":"0","type":"gauge","type_instance":""}]',
    ),
}


def main() -> None:
    """Fuzz the decoder that is named; libFuzzer ends the process."""
    if len(sys.argv) < 2 or sys.argv[1] not in DECODERS:
        raise SystemExit(f"usage: python -m tests.fuzz {{{'|'.join(DECODERS)}}} [options]")
    decode, seed = DECODERS[sys.argv.pop(1)]

    def once(body: bytes) -> None:
        try:
            batch = decode(body)
        except (InvalidRequest, PayloadTooLarge):
            return
        if not len(batch.series) == len(batch.times) == len(batch.values) <= LIMITS.points * 10:
            raise AssertionError(f"columns of {len(batch.series)} series")
        if not all(map(isfinite, batch.values)):
            raise AssertionError("a value that is not finite")
        if len(batch.issues) > LIMITS.errors:
            raise AssertionError(f"{len(batch.issues)} issues")

    with tempfile.TemporaryDirectory() as corpus:
        (Path(corpus) / "seed").write_bytes(seed)
        atheris.Setup([*sys.argv, corpus], once)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
