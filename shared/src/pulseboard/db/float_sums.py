"""Sums and means in SQL of any doubles, infinite ones too.

PostgreSQL's own aggregates raise where finite values overflow and where a quotient underflows: the
whole statement would fail for one sample. The functions are those of migrations 0080 and 0110,
which define the rollups by the same texts.

A sum is kept in two parts that can't overflow, as `small` and `large` write them. From these
comes the sum, which can be out of range, and the mean, which can't.
"""

_IN_RANGE = "{value} > -1e290 and {value} < 1e290"


def small(value: str, *, where: str = "true") -> str:
    """SQL: the sum of the values below 1e290 where `where` holds."""
    return f"sum({value}) filter (where {where} and {_IN_RANGE.format(value=value)})"


def large(value: str, *, where: str = "true") -> str:
    """SQL: the sum of the other values where `where` holds, divided by 2^64."""
    in_range = _IN_RANGE.format(value=value)
    return f"sum({value} / 18446744073709551616) filter (where {where} and not ({in_range}))"


def rolled_up_large(total: str, mean: str, count: str) -> str:
    """SQL: `large` of rows that have a sum, which may have overflowed, a mean and a count."""
    part = f"float8_large_part({total}, {mean}, {count})"
    return f"sum({part}) filter (where not ({_IN_RANGE.format(value=total)}))"


def small_of_row(total: str) -> str:
    """SQL: the part of `small` in one row of a rollup, null where there is none."""
    return f"case when {_IN_RANGE.format(value=total)} then {total} end"


def large_of_row(total: str, mean: str, count: str) -> str:
    """SQL: the part of `large` in one row of a rollup, null where there is none."""
    part = f"float8_large_part({total}, {mean}, {count})"
    return f"case when not ({_IN_RANGE.format(value=total)}) then {part} end"


def total(value: str, *, where: str = "true") -> str:
    """SQL: the sum of `value` where `where` holds; ±Infinity where it overflows."""
    return f"float8_total({small(value, where=where)}, {large(value, where=where)})"


def average_of_parts(small: str, large: str, count: str) -> str:
    """SQL: the mean of `count` values, at least 1, from the two parts of their sum."""
    return f"float8_average({small}, {large}, {count})"


def average(value: str) -> str:
    """SQL: the mean of `value`; finite where all values are."""
    return average_of_parts(small(value), large(value), f"count({value})")
