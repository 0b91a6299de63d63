"""Sums and means in SQL of any doubles, infinite ones too.

PostgreSQL's own aggregates raise where finite values overflow and where a quotient underflows: the
whole statement would fail for one sample. The functions are those of migration 0080, which defines
the rollups by the same texts.
"""

_IN_RANGE = "{value} > -1e290 and {value} < 1e290"


def total(value: str, *, where: str = "true") -> str:
    """SQL: the sum of `value` where `where` holds; ±Infinity where it overflows."""
    in_range = _IN_RANGE.format(value=value)
    small = f"sum({value}) filter (where {where} and {in_range})"
    large = f"sum({value} / 18446744073709551616) filter (where {where} and not ({in_range}))"
    return f"float8_total({small}, {large})"


def mean(total: str, count: str) -> str:
    """SQL: a sum by the number of its values, which is at least 1."""
    return f"float8_mean({total}, {count})"
