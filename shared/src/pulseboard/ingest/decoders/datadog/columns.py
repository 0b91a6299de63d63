"""Columns of packed numbers and dictionaries of texts, each decoded on demand.

The size is checked before decoding: a byte of a packed column can become an object of 32 bytes.
"""

from itertools import accumulate, chain
from struct import calcsize, unpack_from

from pulseboard.core.exceptions import PayloadTooLarge
from pulseboard.ingest.decoders.protobuf_wire import (
    BYTES,
    WireError,
    count_varints,
    fields,
    varint,
    varints,
    zigzag,
)
from pulseboard.ingest.parts_budget import PartsBudget

Texts = list[bytes]
PIECES = 1_000
"""Most fields of a message of columns. A column is one field, or several pieces."""


class Columns:
    """The packed fields of messages in `body`, by number."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._spans: dict[int, list[tuple[int, int]]] = {}
        self._pieces = 0

    def add(self, start: int, stop: int, budget: PartsBudget) -> None:
        """Add a message; several messages continue the same columns. Raises WireError."""
        for number, kind, value in fields(self._body, start, stop, budget):
            if kind != BYTES:
                raise WireError(f"column {number} is not packed")
            self._pieces += 1
            if self._pieces > PIECES:
                raise WireError(f"its columns come in more than {PIECES} pieces")
            self._spans.setdefault(number, []).append(value)

    def integers(self, number: int, most: int) -> list[int]:
        """Unsigned. Raises PayloadTooLarge for more than `most`, WireError."""
        spans = self._spans.get(number, [])
        if sum(count_varints(self._body, *span) for span in spans) > most:
            raise _too_many(number, most)
        return list(chain.from_iterable(varints(self._body, *span) for span in spans))

    def signed(self, number: int, most: int) -> list[int]:
        """Integers in `sint64` encoding."""
        return list(map(zigzag, self.integers(number, most)))

    def deltas(self, number: int, most: int) -> list[int]:
        """Integers in `sint64` encoding, each stored as the difference from the one before."""
        return list(accumulate(self.signed(number, most)))

    def reals(self, number: int, code: str, most: int) -> list[float]:
        """Floating point numbers, `f` or `d`."""
        result: list[float] = []
        size = calcsize(f"<{code}")
        for start, stop in self._spans.get(number, []):
            many, rest = divmod(stop - start, size)
            if rest:
                raise WireError(f"column {number} ends in the middle of a number")
            if len(result) + many > most:
                raise _too_many(number, most)
            result += unpack_from(f"<{many}{code}", self._body, start)
        return result

    def texts(self, number: int, most: int) -> Texts:
        """A dictionary, entry 0 being empty: length, text, and so on."""
        result = [b""]
        for position, stop in self._spans.get(number, []):
            while position < stop:
                size, start = varint(self._body, position)
                position = start + size
                if position > stop:
                    raise WireError(f"a text of column {number} passes its end")
                if len(result) > most:
                    raise _too_many(number, most)
                result.append(self._body[start:position])
        return result


def _too_many(number: int, most: int) -> PayloadTooLarge:
    return PayloadTooLarge(
        f"Column {number} of the body has more than the {most} entries that are accepted at once."
    )
