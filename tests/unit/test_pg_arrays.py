"""Arrays as PostgreSQL sends them."""

import struct

from pulseboard.db import pg_arrays

FLOAT8, INT4 = 701, 23


def _sent(oid: int, code: str, values: list[float]) -> bytes:
    """As array_send writes it: an empty array has no dimensions, thus no length either."""
    if not values:
        return struct.pack(">iii", 0, 0, oid)
    size = struct.calcsize(code)
    elements = (struct.pack(f">i{code}", size, value) for value in values)
    return struct.pack(">iiiii", 1, 0, oid, len(values), 1) + b"".join(elements)


def test_numbers_come_out_of_arrays() -> None:
    assert pg_arrays.floats(_sent(FLOAT8, "d", [1.5, -0.0, 1e300])) == (1.5, 0.0, 1e300)
    assert pg_arrays.integers(_sent(INT4, "i", [7, -1])) == (7, -1)


def test_an_empty_array_holds_none() -> None:
    assert pg_arrays.length(_sent(INT4, "i", [])) == 0
    assert pg_arrays.integers(_sent(INT4, "i", [])) == ()
    assert pg_arrays.floats(_sent(FLOAT8, "d", [])) == ()
