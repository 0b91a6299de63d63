"""The messages of OTLP metrics that we read, by field numbers and JSON names.

https://github.com/open-telemetry/opentelemetry-proto, metrics/v1. Points stay bytes and are
parsed one by one, so that no tree is larger than one data point.
"""

from pulseboard.ingest.decoders.protobuf_wire import Field, Schema

DEPTH = 6
"""Levels of arrays and maps that an attribute may have."""


def _value(depth: int) -> Schema:
    """AnyValue, with arrays and maps of so many levels; what is deeper stays bytes, and is refused
    by whom reads it.
    """
    scalars: Schema = {
        1: Field("stringValue", "text"),
        2: Field("boolValue", "bool"),
        3: Field("intValue", "int"),
        4: Field("doubleValue", "double"),
        7: Field("bytesValue", "bytes"),
    }
    if not depth:
        return {**scalars, 5: Field("arrayValue", "bytes"), 6: Field("kvlistValue", "bytes")}
    inner = _value(depth - 1)
    return {
        **scalars,
        5: Field("arrayValue", "message", of={1: Field("values", "message", True, inner)}),
        6: Field(
            "kvlistValue", "message", of={1: Field("values", "message", True, _key_value(inner))}
        ),
    }


def _key_value(value: Schema) -> Schema:
    return {1: Field("key", "text"), 2: Field("value", "message", of=value)}


_ATTRIBUTE: Schema = _key_value(_value(DEPTH))

RESOURCE: Schema = {1: Field("attributes", "message", True, _ATTRIBUTE)}
SCOPE: Schema = {
    1: Field("name", "text"),
    2: Field("version", "text"),
    3: Field("attributes", "message", True, _ATTRIBUTE),
}

_POINTS: Schema = {
    1: Field("dataPoints", "bytes", True, points=True),
    2: Field("aggregationTemporality", "uint"),
    3: Field("isMonotonic", "bool"),
}
METRIC: Schema = {
    1: Field("name", "text"),
    2: Field("description", "text"),
    3: Field("unit", "text"),
    5: Field("gauge", "message", of=_POINTS),
    7: Field("sum", "message", of=_POINTS),
    9: Field("histogram", "message", of=_POINTS),
    10: Field("exponentialHistogram", "message", of=_POINTS),
    11: Field("summary", "message", of=_POINTS),
}

NUMBER_ATTRIBUTES = 7
NUMBER: Schema = {
    3: Field("timeUnixNano", "fixed64"),
    4: Field("asDouble", "double"),
    6: Field("asInt", "sfixed64"),
    NUMBER_ATTRIBUTES: Field("attributes", "message", True, _ATTRIBUTE),
    8: Field("flags", "uint"),
}
HISTOGRAM: Schema = {
    3: Field("timeUnixNano", "fixed64"),
    4: Field("count", "fixed64"),
    5: Field("sum", "double"),
    6: Field("bucketCounts", "fixed64", True),
    7: Field("explicitBounds", "double", True),
    9: Field("attributes", "message", True, _ATTRIBUTE),
    10: Field("flags", "uint"),
}
SUMMARY: Schema = {
    3: Field("timeUnixNano", "fixed64"),
    4: Field("count", "fixed64"),
    5: Field("sum", "double"),
    6: Field(
        "quantileValues",
        "message",
        True,
        {1: Field("quantile", "double"), 2: Field("value", "double")},
    ),
    7: Field("attributes", "message", True, _ATTRIBUTE),
    8: Field("flags", "uint"),
}
_BUCKETS: Schema = {1: Field("offset", "sint"), 2: Field("bucketCounts", "uint", True)}
EXPONENTIAL: Schema = {
    1: Field("attributes", "message", True, _ATTRIBUTE),
    3: Field("timeUnixNano", "fixed64"),
    4: Field("count", "fixed64"),
    5: Field("sum", "double"),
    6: Field("scale", "sint"),
    7: Field("zeroCount", "fixed64"),
    8: Field("positive", "message", of=_BUCKETS),
    9: Field("negative", "message", of=_BUCKETS),
    10: Field("flags", "uint"),
    14: Field("zeroThreshold", "double"),
}
