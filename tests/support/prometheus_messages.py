"""Messages of Prometheus remote write, encoded by Google's own library from a schema of ours."""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import cramjam
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_KINDS = {"double": 1, "int64": 3, "int32": 5, "string": 9, "uint64": 4}
_MESSAGES: dict[str, dict[str, tuple[int, str, bool]]] = {
    "Label": {"name": (1, "string", False), "value": (2, "string", False)},
    "Sample": {"value": (1, "double", False), "timestamp": (2, "int64", False)},
    "Exemplar": {"value": (2, "double", False), "timestamp": (3, "int64", False)},
    "Histogram": {"count_int": (1, "uint64", False), "sum": (3, "double", False)},
    "TimeSeries": {
        "labels": (1, "Label", True),
        "samples": (2, "Sample", True),
        "exemplars": (3, "Exemplar", True),
        "histograms": (4, "Histogram", True),
    },
    "MetricMetadata": {
        "type": (1, "int32", False),
        "metric_family_name": (2, "string", False),
        "help": (4, "string", False),
        "unit": (5, "string", False),
    },
    "WriteRequest": {
        "timeseries": (1, "TimeSeries", True),
        "metadata": (3, "MetricMetadata", True),
    },
}
Series = tuple[Mapping[str, str], Iterable[tuple[int, float]]]


@cache
def _classes() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(
        name="remote_write.proto", package="test", syntax="proto3"
    )
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, (number, kind, repeated) in fields.items():
            added = message.field.add(name=field, number=number, label=3 if repeated else 1)
            added.type = _KINDS.get(kind, 11)
            if kind not in _KINDS:
                added.type_name = f".test.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"test.{name}"))
        for name in _MESSAGES
    }


def message(kind: str, /, **fields: Any) -> Any:
    """A message by its name in the schema."""
    return _classes()[kind](**fields)


def series(labels: Mapping[str, str], samples: Iterable[tuple[int, float]], **more: Any) -> Any:
    """A TimeSeries, its labels in the order given."""
    return message(
        "TimeSeries",
        labels=[message("Label", name=name, value=value) for name, value in labels.items()],
        samples=[message("Sample", timestamp=time, value=value) for time, value in samples],
        **more,
    )


def packed(request: Any) -> bytes:
    """A message as a snappy block."""
    return bytes(cramjam.snappy.compress_raw(request.SerializeToString()))


def write_request(*stored: Series) -> bytes:
    """A WriteRequest of these series, as a body."""
    return packed(message("WriteRequest", timeseries=[series(*each) for each in stored]))
