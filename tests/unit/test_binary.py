"""Arrays as PostgreSQL sends them."""

import struct

from pulseboard.stores import binary

FLOAT8, INT4 = 701, 23


def _sent(oid: int, code: str, values: list[float]) -> bytes:
    """As array_send writes it: an empty array has no dimensions, thus no length either."""
    if not values:
        return struct.pack(">iii", 0, 0, oid)
    size = struct.calcsize(code)
    elements = (struct.pack(f">i{code}", size, value) for value in values)
    return struct.pack(">iiiii", 1, 0, oid, len(values), 1) + b"".join(elements)


def test_numbers_come_out_of_arrays() -> None:
    assert binary.floats(_sent(FLOAT8, "d", [1.5, -0.0, 1e300])) == (1.5, 0.0, 1e300)
    assert binary.integers(_sent(INT4, "i", [7, -1])) == (7, -1)


def test_an_empty_array_holds_none() -> None:
    assert binary.length(_sent(INT4, "i", [])) == 0
    assert binary.integers(_sent(INT4, "i", [])) == ()
    assert binary.floats(_sent(FLOAT8, "d", [])) == ()
