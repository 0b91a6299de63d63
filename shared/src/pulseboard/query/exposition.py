"""Prometheus' text format, for federation."""

from collections.abc import Mapping, Sequence

from pulseboard.catalogue.series_key import NAME
from pulseboard.promql.printer import quoted
from pulseboard.query.exact_queries import ExactLine
from pulseboard.query.prometheus_format import format_value


def exposition(lines: Sequence[ExactLine], kinds: Mapping[str, str]) -> str:
    """The newest sample of each line with its time, by metric; `kinds` are the metrics' types."""
    by_name: dict[str, list[ExactLine]] = {}
    for line in lines:
        by_name.setdefault(line.labels.get(NAME, ""), []).append(line)
    text = []
    for name in sorted(by_name):
        plain = name.isidentifier() or name.replace(":", "_").isidentifier()
        shown = name if plain and name.isascii() else quoted(name)
        text.append(f"# TYPE {shown} {kinds.get(name, 'untyped')}\n")
        for line in by_name[name]:
            labels = [
                f"{key}={quoted(value)}"
                for key, value in sorted(line.labels.items())
                if key != NAME
            ]
            head = shown if plain else ""
            inside = ",".join(labels if plain else [shown, *labels])
            braces = f"{{{inside}}}" if inside else ""
            at = round(line.times[-1] * 1000)
            text.append(f"{head}{braces} {format_value(line.values[-1])} {at}\n")
    return "".join(text)
