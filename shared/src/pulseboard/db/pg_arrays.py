"""Arrays as the server sends them, and numbers out of them at once.

psycopg makes a Python object of each element; a result of some 10,000 numbers would spend most of
its time there. A `cursor` of this module hands over the bytes instead. The binary form of an
array is five int32 (dimensions, whether any element is null, element type, length, lower bound),
then each element behind its int32 length
(https://github.com/postgres/postgres/blob/REL_17_STABLE/src/backend/utils/adt/arrayfuncs.c,
array_send).
"""

import struct
from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.pq import Format

HEADER = 20
TO_1970 = 946_684_800
"""Seconds from 1970 to 2000, where PostgreSQL's binary times begin."""
_INT4_ARRAY, _FLOAT8_ARRAY, _TIMESTAMPTZ_ARRAY = 1007, 1022, 1185


class _BytesLoader(Loader):
    format = Format.BINARY

    def load(self, data: Buffer) -> bytes:
        return bytes(data)


def cursor(connection: psycopg.Connection[Any]) -> psycopg.Cursor[Any]:
    """A binary cursor whose arrays stay bytes."""
    binary_cursor = connection.cursor(binary=True)
    for oid in (_INT4_ARRAY, _FLOAT8_ARRAY, _TIMESTAMPTZ_ARRAY):
        binary_cursor.adapters.register_loader(oid, _BytesLoader)
    return binary_cursor


def int_array(ids: Sequence[int]) -> str:
    """Whole numbers as a parameter that is cast to int[]: psycopg would adapt each of them."""
    return "{" + ",".join(map(str, ids)) + "}"


def length(data: bytes) -> int:
    """How many elements an array has."""
    return int(struct.unpack_from(">i", data, 12)[0]) if len(data) > HEADER else 0


def floats(data: bytes) -> tuple[float, ...]:
    """The elements of a float8[] without nulls."""
    return _unpacked("4xd", data)


def integers(data: bytes) -> tuple[int, ...]:
    """The elements of an int4[] without nulls."""
    return _unpacked("4xi", data)


def _unpacked(element: str, data: bytes) -> tuple[Any, ...]:
    # An empty array ends before its length.
    return struct.unpack_from(">" + element * length(data), data, min(HEADER, len(data)))
