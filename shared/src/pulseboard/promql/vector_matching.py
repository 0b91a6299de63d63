"""Binary operators: numbers with numbers, and series with the series that match them."""

from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np

from pulseboard.promql import functions
from pulseboard.promql.array_types import Bools, Floats
from pulseboard.promql.ast import NAME, Binary, Cardinality, Matching
from pulseboard.promql.series import Labels
from pulseboard.promql.vector import (
    Vector,
    distinct,
    empty,
    evaluation_error,
    format_labels,
    group,
    key_of,
    nameless,
)

_ARITHMETIC: dict[str, Callable[[Floats, Floats], Floats]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    # The sign is the dividend's, as in Go.
    "%": np.fmod,
    "^": np.power,
    "atan2": np.arctan2,
}
_COMPARISONS: dict[str, Callable[[Floats, Floats], Bools]] = {
    "==": np.equal,
    "!=": np.not_equal,
    ">": np.greater,
    "<": np.less,
    ">=": np.greater_equal,
    "<=": np.less_equal,
}
_Signature = tuple[tuple[str, str], ...]


def scalars(node: Binary, left: Floats, right: Floats) -> Floats:
    """A scalar and a scalar; a comparison gives 0 or 1."""
    if node.operator in _ARITHMETIC:
        return _ARITHMETIC[node.operator](left, right)
    return _COMPARISONS[node.operator](left, right).astype(np.float64)


def with_scalar(node: Binary, vector: Vector, scalar: Floats, *, scalar_first: bool) -> Vector:
    """Each series and a scalar. A comparison gives the series' value, whichever side it is on."""
    left, right = (scalar, vector.values) if scalar_first else (vector.values, scalar)
    return distinct(
        _apply(node, vector.labels, left, right, vector.present, unchanged=vector.values),
        node.position,
    )


def _apply(
    node: Binary,
    labels: list[Labels],
    left: Floats,
    right: Floats,
    present: Bools,
    *,
    unchanged: Floats,
) -> Vector:
    if node.operator in _ARITHMETIC:
        result = _ARITHMETIC[node.operator](left, right)
        return Vector([nameless(each) for each in labels], result, present)
    holds = _COMPARISONS[node.operator](left, right)
    if node.as_bool:
        return Vector([nameless(each) for each in labels], holds.astype(np.float64), present)
    return Vector(labels, unchanged, present & holds)


def vectors(node: Binary, left: Vector, right: Vector) -> Vector:
    """Series of both sides that match by the node's labels."""
    if node.operator in functions.SETS:
        return _set(node, left, right)
    matching = node.matching
    swapped = matching.cardinality is Cardinality.ONE_TO_MANY
    many, one = (right, left) if swapped else (left, right)
    of_one = _by_signature(one, matching)
    _refuse_duplicates(node, one, of_one, many)
    pairs = [
        (row, other)
        for row, labels in enumerate(many.labels)
        for other in of_one.get(_signature(labels, matching), ())
    ]
    if not pairs:
        return empty(left.values.shape[1])
    a, b = (np.array(side, dtype=np.intp) for side in zip(*pairs, strict=True))
    lhs, rhs = (one.values[b], many.values[a]) if swapped else (many.values[a], one.values[b])
    present = many.present[a] & one.present[b]
    labels = [_result_labels(node, many.labels[row], one.labels[other]) for row, other in pairs]
    result = _apply(node, labels, lhs, rhs, present, unchanged=lhs)
    signatures = [_signature(many.labels[row], matching) for row, _ in pairs]
    # Before a comparison has filtered: what matches twice is an error whatever the values are.
    _refuse_ambiguous(node, result, present, signatures)
    return distinct(result, node.position)


def _signature(labels: Labels, matching: Matching) -> _Signature:
    if matching.on:
        return tuple((key, labels.get(key, "")) for key in sorted(matching.labels))
    ignored = {NAME, *matching.labels}
    return tuple(sorted((key, value) for key, value in labels.items() if key not in ignored))


def _by_signature(vector: Vector, matching: Matching) -> dict[_Signature, list[int]]:
    rows: dict[_Signature, list[int]] = defaultdict(list)
    for row, labels in enumerate(vector.labels):
        rows[_signature(labels, matching)].append(row)
    return rows


def _result_labels(node: Binary, many: Labels, one: Labels) -> Labels:
    matching = node.matching
    if matching.cardinality is Cardinality.ONE_TO_ONE:
        if matching.on:
            return {key: value for key, value in many.items() if key in matching.labels}
        return {key: value for key, value in many.items() if key not in matching.labels}
    labels = dict(many)
    for key in matching.include:
        labels.pop(key, None)
        if one.get(key):
            labels[key] = one[key]
    return labels


def _refuse_duplicates(
    node: Binary, one: Vector, of_one: dict[_Signature, list[int]], many: Vector
) -> None:
    matched = many.present.any(axis=0)
    for rows in of_one.values():
        if len(rows) > 1 and ((one.present[rows].sum(axis=0) > 1) & matched).any():
            side = "left" if node.matching.cardinality is Cardinality.ONE_TO_MANY else "right"
            first, second = (format_labels(one.labels[row]) for row in rows[:2])
            raise evaluation_error(
                node.position,
                f"several series of the {side} side match each other: {first} and {second}",
                "aggregate that side, or match on(…) more tags",
            )


def _refuse_ambiguous(
    node: Binary, result: Vector, matched: Bools, signatures: Sequence[_Signature]
) -> None:
    if node.matching.cardinality is Cardinality.ONE_TO_ONE:
        keys: list[object] = list(signatures)
        message = "several series of the left side match one of the right"
        hint = "use group_left() or group_right() if that is intended"
    else:
        keys = list(zip(signatures, map(key_of, result.labels), strict=True))
        message = "several matches end up with the same tags"
        hint = "keep a tag that differs in group_left(…) or group_right(…)"
    firsts, of_row = group(keys)
    if len(firsts) == len(keys):
        return
    counts = np.zeros((len(firsts), result.values.shape[1]), dtype=np.int64)
    np.add.at(counts, of_row, matched)
    if (counts > 1).any():
        clash = format_labels(result.labels[firsts[int(np.argwhere(counts > 1)[0][0])]])
        raise evaluation_error(node.position, f"{message}: {clash}", hint)


def _set(node: Binary, left: Vector, right: Vector) -> Vector:
    """and: left where right matches; unless: left where it does not; or: left, else right."""
    if node.operator == "or":
        extra = right.present & ~_covered(right, left, node.matching)
        both = Vector(
            [*left.labels, *right.labels],
            np.concatenate([left.values, right.values]),
            np.concatenate([left.present, extra]),
        )
        return distinct(both, node.position)
    covered = _covered(left, right, node.matching)
    selected = covered if node.operator == "and" else ~covered
    return Vector(left.labels, left.values, left.present & selected)


def _covered(vector: Vector, other: Vector, matching: Matching) -> Bools:
    """Where any series of the other side with the same signature has a value."""
    rows = _by_signature(other, matching)
    covered = np.zeros_like(vector.present)
    for row, labels in enumerate(vector.labels):
        if matches := rows.get(_signature(labels, matching)):
            covered[row] = other.present[matches].any(axis=0)
    return covered
