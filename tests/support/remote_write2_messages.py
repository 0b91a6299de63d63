"""Messages of remote write 2.0, made field by field."""

from struct import pack

from pulseboard.ingest.decoders.protobuf_wire import encoded_text, encoded_varint


def zigzagged(number: int, value: int) -> bytes:
    return encoded_varint(number, value << 1 if value >= 0 else (-value << 1) - 1)


def native(time: int, total: bytes = pack("<d", 20.5)) -> bytes:
    """A Histogram of `latency`: schema 1, two in the zero bucket, (1, √2] 4 and (2, 2√2] 6."""
    span = zigzagged(1, 1) + encoded_varint(2, 1)
    gap = zigzagged(1, 1) + encoded_varint(2, 1)
    deltas = b"".join(zigzagged(12, delta) for delta in (4, 2))
    fields = [encoded_varint(1, 12), b"\x19" + total, zigzagged(4, 1), encoded_varint(6, 2)]
    fields += [encoded_text(11, span), encoded_text(11, gap), deltas]
    return b"".join([*fields, encoded_varint(15, time)])


def sample(time: int, value: float) -> bytes:
    """A Sample."""
    return b"\x09" + pack("<d", value) + encoded_varint(2, time)


SYMBOLS = [b"", b"__name__", b"latency", b"job", b"api", b"up", b"s", b"Duration."]


def request2(*series: bytes, symbols: list[bytes] = SYMBOLS) -> bytes:
    texts = b"".join(encoded_text(4, text) for text in symbols)
    return texts + b"".join(encoded_text(5, one) for one in series)


def native_request(time: int) -> bytes:
    """A Request with `native` as latency{job="api"}, and a sample of up{job="api"}."""
    histogram = encoded_text(1, bytes([1, 2, 3, 4])) + encoded_text(3, native(time))
    up = encoded_text(1, bytes([1, 5, 3, 4])) + encoded_text(2, sample(time, 1.0))
    return request2(histogram, up)
