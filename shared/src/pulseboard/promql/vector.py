"""Instant vectors over time: a row for each series, a column for each step."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pulseboard.contracts.errors import ErrorDetail
from pulseboard.core.exceptions import InvalidRequest
from pulseboard.promql.array_types import Bools, Floats, Indices
from pulseboard.promql.ast import NAME
from pulseboard.promql.series import Labels


@dataclass(frozen=True, slots=True, eq=False)
class Vector:
    """`values` and `present` are of shape (series, steps); absent values are undefined."""

    labels: list[Labels]
    values: Floats
    present: Bools

    def rows(self, selected: Sequence[int]) -> "Vector":
        """Only these series, in this order."""
        index = np.asarray(selected, dtype=np.intp)
        return Vector(
            [self.labels[row] for row in selected], self.values[index], self.present[index]
        )


Value = Vector | Floats | str
"""The value of an expression: a vector, a scalar (one number for each step) or a text."""


def empty(steps: int) -> Vector:
    """No series at all."""
    return Vector([], np.zeros((0, steps)), np.zeros((0, steps), dtype=np.bool_))


def nameless(labels: Labels) -> Labels:
    """Labels without the metric's name, which most functions drop."""
    return {key: value for key, value in labels.items() if key != NAME}


def key_of(labels: Labels) -> tuple[tuple[str, str], ...]:
    """The same for the same labels, whatever their order."""
    return tuple(sorted(labels.items()))


def group(keys: Sequence[object]) -> tuple[list[int], Indices]:
    """The first row of each distinct key, and for each row the number of its key."""
    numbers: dict[object, int] = {}
    firsts: list[int] = []
    of_row = np.empty(len(keys), dtype=np.intp)
    for row, key in enumerate(keys):
        number = numbers.setdefault(key, len(numbers))
        if number == len(firsts):
            firsts.append(row)
        of_row[row] = number
    return firsts, of_row


def distinct(vector: Vector, position: int) -> Vector:
    """Merge rows of equal labels. Raises InvalidRequest where two of them have a value at a step.

    That happens when a function drops the name of series that differ in nothing else.
    """
    firsts, of_row = group([key_of(labels) for labels in vector.labels])
    if len(firsts) == len(vector.labels):
        return vector
    counts = np.zeros((len(firsts), vector.values.shape[1]), dtype=np.int64)
    np.add.at(counts, of_row, vector.present)
    if (counts > 1).any():
        clash = vector.labels[firsts[int(np.argwhere(counts > 1)[0][0])]]
        raise evaluation_error(
            position,
            f"several series would end up with the same tags {format_labels(clash)}",
            "keep a tag that differs, or aggregate them first",
        )
    values = np.zeros(counts.shape)
    rows, columns = np.nonzero(vector.present)
    values[of_row[rows], columns] = vector.values[rows, columns]
    return Vector([vector.labels[row] for row in firsts], values, counts > 0)


def format_labels(labels: Labels) -> str:
    """Labels as they are written in a query."""
    return "{" + ", ".join(f'{key}="{value}"' for key, value in sorted(labels.items())) + "}"


def evaluation_error(position: int, message: str, hint: str) -> InvalidRequest:
    """The error for a well-formed expression that can't be computed on this data."""
    return InvalidRequest(
        f"The query can't be computed (character {position + 1}): {message}.",
        details=[ErrorDetail(field="query", message=message, hint=hint, position=position)],
    )
