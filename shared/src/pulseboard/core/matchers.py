"""Matchers: conditions on the tags of series."""

from dataclasses import dataclass
from typing import Literal

from pulseboard.core.patterns import matches

Operator = Literal["=", "!=", "=~", "!~"]


@dataclass(frozen=True, slots=True)
class Matcher:
    """A condition on one tag."""

    key: str
    operator: Operator
    value: str

    def accepts(self, tags: dict[str, str]) -> bool:
        """Whether a series with these tags is meant."""
        actual = tags.get(self.key, "")
        if self.operator in ("=", "!="):
            return (actual == self.value) == (self.operator == "=")
        return matches(self.value, actual) == (self.operator == "=~")
