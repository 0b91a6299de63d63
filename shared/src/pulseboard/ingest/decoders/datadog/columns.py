"""Columns of packed numbers and dictionaries of texts, each read when it is asked for.

Bounded before anything is made of it: a byte of a packed column can become an object of 32.
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

Texts = list[bytes]
PIECES = 1_000
"""Fields of a message of columns. Each column is one, unless a sender writes it in pieces."""


class Columns:
    """The packed fields of messages in `body`, by number."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._spans: dict[int, list[tuple[int, int]]] = {}
        self._pieces = 0

    def add(self, start: int, stop: int) -> None:
        """A message; what comes in several goes on in the same columns. Raises WireError."""
        for number, kind, value in fields(self._body, start, stop):
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
        """As `sint64` is written."""
        return list(map(zigzag, self.integers(number, most)))

    def deltas(self, number: int, most: int) -> list[int]:
        """The same, each told by its difference from the one before."""
        return list(accumulate(self.signed(number, most)))

    def reals(self, number: int, code: str, most: int) -> list[float]:
        """Floating point numbers, `f` or `d`."""
        made: list[float] = []
        size = calcsize(f"<{code}")
        for start, stop in self._spans.get(number, []):
            many, rest = divmod(stop - start, size)
            if rest:
                raise WireError(f"column {number} ends in the middle of a number")
            if len(made) + many > most:
                raise _too_many(number, most)
            made += unpack_from(f"<{many}{code}", self._body, start)
        return made

    def texts(self, number: int, most: int) -> Texts:
        """A dictionary, entry 0 being empty: length, text, and so on."""
        made = [b""]
        for position, stop in self._spans.get(number, []):
            while position < stop:
                size, start = varint(self._body, position)
                position = start + size
                if position > stop:
                    raise WireError(f"a text of column {number} passes its end")
                if len(made) > most:
                    raise _too_many(number, most)
                made.append(self._body[start:position])
        return made


def _too_many(number: int, most: int) -> PayloadTooLarge:
    return PayloadTooLarge(
        f"Column {number} of the body has more than the {most} entries that are accepted at once."
    )
