"""Units, colours, thresholds, legends and overrides of Grafana's panels."""

import re
from collections.abc import Iterator
from typing import Any

from pulseboard.contracts.dashboards import Calculation, SeriesOverride, Threshold, ValueMapping
from pulseboard.dashboards.grafana.json_access import dig, mapping, number, objects, text
from pulseboard.dashboards.grafana.report import ImportReport

# Grafana's unit ids (packages/grafana-data, value formats) and ours.
_UNITS = {
    "percent": "percent", "percentunit": "ratio", "none": "none", "short": "short",
    "sci": "scientific", "hex": "hex", "hex0x": "hex",
    "bytes": "bytes", "decbytes": "decbytes", "bits": "bits", "decbits": "bits",
    "binBps": "bytes/s", "Bps": "decbytes/s", "bps": "bits/s", "binbps": "bits/s",
    "pps": "packets/s",
    "s": "seconds", "ms": "milliseconds", "µs": "microseconds", "ns": "nanoseconds",
    "dtdurations": "seconds", "dtdurationms": "milliseconds", "clocks": "seconds",
    "clockms": "milliseconds", "hertz": "hertz",
    "dateTimeAsIso": "date", "dateTimeAsIsoNoDateIfToday": "date", "dateTimeAsUS": "date",
    "dateTimeFromNow": "date",
    "ops": "ops", "reqps": "requests/s", "rps": "reads/s", "wps": "writes/s", "iops": "ops",
    "eps": "events/s", "mps": "messages/s", "cps": "ops", "opm": "ops/min",
    "celsius": "celsius", "fahrenheit": "fahrenheit", "farenheit": "fahrenheit",
    "watt": "watts", "volt": "volts", "amp": "amperes", "rotrpm": "rpm", "humidity": "humidity",
    "currencyUSD": "usd", "currencyEUR": "eur",
}  # fmt: skip
# Units of Grafana that count in multiples: ours count in the unit itself.
_WRITTEN = {
    "kbytes": "KiB", "mbytes": "MiB", "gbytes": "GiB", "tbytes": "TiB",
    "deckbytes": "kB", "decmbytes": "MB", "decgbytes": "GB", "dectbytes": "TB",
    "KBs": "kB/s", "MBs": "MB/s", "GBs": "GB/s", "KiBs": "KiB/s", "MiBs": "MiB/s",
    "Kbits": "kb/s", "Mbits": "Mb/s", "Gbits": "Gb/s",
    "m": "min", "h": "h", "d": "d", "rothz": "Hz", "kwatt": "kW", "mwatt": "mW",
    "dBm": "dBm", "lengthm": "m", "pressurebar": "bar", "kelvin": "K", "degree": "°",
}  # fmt: skip
_CALCULATIONS = {
    "last": Calculation.LAST,
    "lastNotNull": Calculation.LAST,
    "current": Calculation.LAST,
    "mean": Calculation.AVG,
    "avg": Calculation.AVG,
    "min": Calculation.MIN,
    "max": Calculation.MAX,
    "sum": Calculation.SUM,
    "total": Calculation.SUM,
}
_HUES = {"green", "red", "orange", "yellow", "blue", "purple"}
_HEX = re.compile(r"^#[0-9a-fA-F]{6}$")
_SHORT_HEX = re.compile(r"^#[0-9a-fA-F]{3}$")
_RGB = re.compile(r"^rgba?\(\s*(\d{1,3})\s*,\s*(\d{1,3})\s*,\s*(\d{1,3})")


def unit(value: Any, *, location: str, report: ImportReport) -> str | None:
    """Our name of a unit; an unknown one stays, and is written behind the number."""
    name = text(value)
    if not name:
        return None
    if name in _UNITS:
        return _UNITS[name]
    if name in _WRITTEN:
        report.changed(location, f'the unit "{name}": "{_WRITTEN[name]}" is written, never scaled')
        return _WRITTEN[name]
    shown = name.removeprefix("suffix:").removeprefix("prefix:").strip()[:30]
    if not shown:
        return None
    report.changed(
        location, f'the unit "{name}" is unknown: "{shown}" is written behind the number'
    )
    return shown


def color(value: Any) -> str | None:
    """A colour of ours: a hex value, or the hue of a name such as `semi-dark-red`."""
    name = text(value)
    if _HEX.match(name):
        return name.lower()
    if _SHORT_HEX.match(name):
        return "#" + "".join(digit * 2 for digit in name[1:].lower())
    found = _RGB.match(name)
    if found:
        return "#" + "".join(f"{min(255, int(part)):02x}" for part in found.groups())
    hue = name.rsplit("-", 1)[-1]
    return hue if hue in _HUES else None


def calculation(names: Any, *, location: str, report: ImportReport) -> Calculation | None:
    """How a panel makes one number of a line; None when the file does not say."""
    listed = names if isinstance(names, list) else [names]
    wanted = [name for name in map(text, listed) if name]
    if not wanted:
        return None
    if wanted[0] in _CALCULATIONS:
        return _CALCULATIONS[wanted[0]]
    report.changed(location, f'the calculation "{wanted[0]}" is unknown: the last value is shown')
    return Calculation.LAST


def thresholds(
    defaults: dict[str, Any],
    *,
    lowest: float | None,
    highest: float | None,
    location: str,
    report: ImportReport,
) -> list[Threshold]:
    """The steps of `fieldConfig.defaults.thresholds`; percentages need both ends of the scale."""
    steps = objects(dig(defaults, "thresholds", "steps"))
    if len(steps) < 2:
        return []
    scale = 1.0
    offset = 0.0
    if dig(defaults, "thresholds", "mode") == "percentage":
        if lowest is None or highest is None:
            report.dropped(location, "thresholds in percent of a scale without both ends")
            return []
        scale, offset = (highest - lowest) / 100, lowest
    found = []
    for step in steps:
        at = number(step.get("value"))
        if at is None:
            # The base colour holds from the lower end of the scale on.
            at = 0.0 if scale != 1.0 or lowest is None else lowest
        shown = color(step.get("color"))
        if shown is not None:
            found.append(Threshold(value=at * scale + offset, color=shown))
    return found[:20]


def mappings(source: dict[str, Any], *, location: str, report: ImportReport) -> list[ValueMapping]:
    """Texts for values and ranges, of a panel with `fieldConfig` or of one before it."""
    defaults = mapping(dig(source, "fieldConfig", "defaults"))
    entries = objects(defaults.get("mappings")) or [
        *objects(source.get("valueMaps")),
        *objects(source.get("rangeMaps")),
    ]
    found: list[ValueMapping] = []
    for entry in entries:
        mapped = list(_mapped(entry))
        if not mapped and not _says_none(entry):
            report.dropped(location, f"a value mapping: {text(entry.get('type')) or entry}"[:200])
        found += mapped
    return found[:50]


def _says_none(entry: dict[str, Any]) -> bool:
    """Whether it writes something for no value at all, as Grafana's panels do by default."""
    matched = dig(entry, "options", "match") or entry.get("value") or entry.get("from")
    return matched in ("null", "null+nan", "nan")


def _mapped(entry: dict[str, Any]) -> Iterator[ValueMapping]:
    if entry.get("type") == "value":
        for value, result in mapping(entry.get("options")).items():
            at = number(value)
            yield from _mapping(at, at, result)
    elif entry.get("type") == "range":
        span = mapping(entry.get("options"))
        yield from _mapping(number(span.get("from")), number(span.get("to")), span.get("result"))
    elif "value" in entry and entry.get("type") in (None, "", 1):
        at = number(entry.get("value"))
        yield from _mapping(at, at, entry)
    elif "from" in entry:
        yield from _mapping(number(entry.get("from")), number(entry.get("to")), entry)


def _mapping(low: float | None, high: float | None, result: Any) -> Iterator[ValueMapping]:
    written = text(mapping(result).get("text"))[:100] or None
    shade = color(mapping(result).get("color"))
    ends = [end for end in (low, high) if end is not None]
    if (written or shade) and ends and ends == sorted(ends):
        yield ValueMapping(low=low, high=high, text=written, color=shade)


def overrides(
    config: dict[str, Any], *, location: str, report: ImportReport
) -> list[SeriesOverride]:
    """Overrides by name, or by a regex that is no more than a name with `.*`."""
    found = []
    for entry in objects(config.get("overrides")):
        kind, wanted = dig(entry, "matcher", "id"), dig(entry, "matcher", "options")
        match = pattern(wanted) if kind == "byRegexp" else text(wanted)
        if kind not in ("byName", "byRegexp") or not match:
            report.dropped(
                location, f"an override of series by {kind or 'nothing'}: {wanted!r}"[:200]
            )
            continue
        style: dict[str, Any] = {}
        left = []
        for change in objects(entry.get("properties")):
            name, value = text(change.get("id")), change.get("value")
            if name == "color" and color(mapping(value).get("fixedColor")):
                style["color"] = color(mapping(value).get("fixedColor"))
            elif name == "displayName" and text(value):
                style["label"] = text(value)[:200]
            elif name == "unit":
                style["unit"] = unit(value, location=location, report=report)
            elif name == "custom.hideFrom" and mapping(value).get("viz"):
                style["hidden"] = True
            elif name == "custom.transform" and value == "negative-Y":
                style["negative"] = True
            else:
                left.append(name)
        if left:
            report.dropped(location, f"of the override of {match}: {', '.join(left)}"[:300])
        if style:
            found.append(SeriesOverride(match=match[:200], **style))
    return found[:100]


def pattern(value: Any) -> str | None:
    """The `*` form of a regex that says no more than that, else None."""
    inner = text(value)
    if len(inner) > 1 and inner.startswith("/") and inner.endswith("/"):
        inner = inner[1:-1]
    anchored_start, anchored_end = inner.startswith("^"), inner.endswith("$")
    inner = inner.removeprefix("^").removesuffix("$")
    plain = inner.replace(".*", "*").replace(".+", "*")
    if not plain or re.search(r"[\\\[\](){}+?|^$]", plain):
        return None
    if not anchored_start and not plain.startswith("*"):
        plain = "*" + plain
    if not anchored_end and not plain.endswith("*"):
        plain += "*"
    return plain
