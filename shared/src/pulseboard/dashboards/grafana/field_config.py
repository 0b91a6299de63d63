"""Units, colours, thresholds, legends and overrides of Grafana's panels."""

import re
from collections.abc import Iterator
from typing import Any

from pulseboard.contracts.dashboards import (
    Calculation,
    FieldLink,
    SeriesOverride,
    Threshold,
    ValueMapping,
)
from pulseboard.dashboards.grafana import queries
from pulseboard.dashboards.grafana.json_access import dig, mapping, number, objects, text
from pulseboard.dashboards.grafana.report import ImportReport

# Grafana's unit ids (packages/grafana-data, value formats) and ours.
UNITS = {
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
    "first": Calculation.FIRST,
    "firstNotNull": Calculation.FIRST,
    "count": Calculation.COUNT,
    "range": Calculation.RANGE,
    "diff": Calculation.DIFFERENCE,
    "delta": Calculation.DIFFERENCE,
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
    if name in UNITS:
        return UNITS[name]
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


def calculations(names: Any) -> list[Calculation]:
    """Those that are known, each once."""
    listed = names if isinstance(names, list) else []
    found = [_CALCULATIONS[name] for name in map(text, listed) if name in _CALCULATIONS]
    return list(dict.fromkeys(found))


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


def thresholds(defaults: dict[str, Any]) -> tuple[str | None, list[Threshold]]:
    """The colour below the first step of `fieldConfig.defaults.thresholds`, and the steps."""
    base: str | None = None
    found = []
    for step in objects(dig(defaults, "thresholds", "steps")):
        at, shown = number(step.get("value")), color(step.get("color"))
        if at is None:
            base = shown
        elif shown is not None:
            found.append(Threshold(value=at, color=shown))
    return base, found[:20]


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
    return found[:200]


def _says_none(entry: dict[str, Any]) -> bool:
    """Whether it writes something for no value at all, as Grafana's panels do by default."""
    matched = dig(entry, "options", "match") or entry.get("value") or entry.get("from")
    return matched in ("null", "null+nan", "nan")


def _mapped(entry: dict[str, Any]) -> Iterator[ValueMapping]:
    options = mapping(entry.get("options"))
    match entry.get("type"):
        case "value":
            for value, result in options.items():
                at = number(value)
                if at is None:
                    yield from _texts({"pattern": value[:200].replace("*", "?")}, result)
                else:
                    yield from _mapping(at, at, result)
        case "range":
            yield from _mapping(
                number(options.get("from")), number(options.get("to")), options.get("result")
            )
        case "regex":
            found = pattern(options.get("pattern"))
            if found:
                yield from _texts({"pattern": found}, options.get("result"))
        case "special":
            if text(options.get("match")) in ("null", "nan", "null+nan", "empty"):
                yield from _texts({"special": "empty"}, options.get("result"))
        case _ if "value" in entry:
            at = number(entry.get("value"))
            if at is None and _says_none(entry):
                yield from _texts({"special": "empty"}, entry)
            else:
                yield from _mapping(at, at, entry)
        case _ if "from" in entry:
            yield from _mapping(number(entry.get("from")), number(entry.get("to")), entry)


def _texts(condition: dict[str, Any], result: Any) -> Iterator[ValueMapping]:
    written = text(mapping(result).get("text"))[:100] or None
    shade = color(mapping(result).get("color"))
    if written or shade:
        yield ValueMapping.model_validate({**condition, "text": written, "color": shade})


def _mapping(low: float | None, high: float | None, result: Any) -> Iterator[ValueMapping]:
    ends = [end for end in (low, high) if end is not None]
    if ends and ends == sorted(ends):
        yield from _texts({"low": low, "high": high}, result)


_DRAWN = {"lines": "line", "line": "line", "bars": "bar", "points": "points"}
_CELLS = {
    "color-text": "color", "color-background": "background",
    "color-background-solid": "background", "gauge": "gauge", "lcd-gauge": "gauge",
    "gradient-gauge": "gauge", "basic": "gauge", "sparkline": "sparkline", "auto": "text",
}  # fmt: skip
_TYPES = {"number": "number", "string": "text", "time": "time"}
# Properties that change how a panel is edited, or that only Grafana has, and not what is shown.
_WITHOUT_EFFECT = {
    "custom.filterable", "custom.inspect", "custom.minWidth", "custom.lineStyle.fill",
    "custom.barAlignment", "custom.scaleDistribution", "custom.pointSize", "custom.hideFrom",
    "custom.axisColorMode", "custom.axisCenteredZero", "custom.gradientMode", "noValue",
    "custom.cellOptions", "custom.displayMode", "description", "custom.insertNulls",
    "custom.spanNulls", "custom.axisSoftMin", "custom.axisSoftMax", "custom.axisLabel",
    "custom.thresholdsStyle", "custom.axisGridShow", "custom.showPoints", "custom.wrapText",
    "custom.fillBelowTo", "custom.barWidthFactor", "custom.axisBorderShow", "path", "actions",
    "fieldMinMax", "custom.footer", "custom.tooltip", "custom.styleField", "custom.neutral",
}  # fmt: skip


def cell(value: Any) -> str | None:
    """How a cell of a table is shown, of `cellOptions` or the older `displayMode`."""
    return _CELLS.get(text(dig(value, "type")) or text(value))


def line_style(value: Any) -> str | None:
    """Solid, dashed or dotted."""
    return {"dash": "dash", "dot": "dot", "solid": "solid"}.get(text(dig(value, "fill")))


def overrides(
    config: dict[str, Any], *, location: str, report: ImportReport
) -> list[SeriesOverride]:
    """Overrides by name, regular expression, query or type; by value there are none."""
    found = []
    for entry in objects(config.get("overrides")):
        matched = _matcher(mapping(entry.get("matcher")))
        properties = objects(entry.get("properties"))
        if matched is None:
            kind = text(dig(entry, "matcher", "id")) or "nothing"
            report.dropped(location, f'an override by "{kind}"')
            continue
        style: dict[str, Any] = {}
        left = []
        for change in properties:
            name, value = text(change.get("id")), change.get("value")
            styled = _style(name, value, location=location, report=report)
            if styled is None:
                left.append(name)
            else:
                style |= styled
        if left:
            report.dropped(location, f"properties of an override: {', '.join(left)}"[:300])
        if style:
            found.append(SeriesOverride.model_validate({**matched, **style}))
    return found[:100]


def _matcher(matcher: dict[str, Any]) -> dict[str, Any] | None:
    kind, wanted = matcher.get("id"), matcher.get("options")
    if kind == "byName" and text(wanted):
        return {"by": "name", "match": text(wanted)[:500]}
    if kind == "byRegexp" and text(wanted):
        return {"by": "pattern", "match": _without_slashes(text(wanted))[:500]}
    if kind == "byNames":
        listed = dig(wanted, "names") if isinstance(wanted, dict) else wanted
        names = [re.escape(each) for each in map(text, listed) if each] if listed else []
        inverted = dig(wanted, "mode") == "exclude"
        if names and not inverted:
            return {"by": "pattern", "match": f"^({'|'.join(names)})$"[:500]}
    if kind == "byFrameRefID" and text(wanted):
        return {"by": "query", "match": text(wanted)[:500]}
    if kind == "byType" and text(wanted) in _TYPES:
        return {"by": "type", "match": _TYPES[text(wanted)]}
    return None


def matcher_of_alias(alias: str) -> dict[str, Any]:
    """Which series an alias of old panels means: a name, or a regular expression in slashes."""
    if len(alias) > 2 and alias.startswith("/"):
        return {"by": "pattern", "match": _without_slashes(alias)[:500]}
    return {"by": "name", "match": alias[:500]}


def _without_slashes(written: str) -> str:
    inner = re.fullmatch(r"/(.+)/[gimsuy]*", written, re.DOTALL)
    return inner[1] if inner else f"^{written}$"


def _whole(value: Any, most: int) -> int | None:
    found = number(value)
    return None if found is None else min(most, max(0, round(found)))


def _style(name: str, value: Any, *, location: str, report: ImportReport) -> dict[str, Any] | None:
    """What a property of an override changes; None for one that is not known."""
    simple = _simple_style(name, value)
    if simple is not None:
        return {key: each for key, each in simple.items() if each is not None}
    if name == "unit":
        return {"unit": unit(value, location=location, report=report)}
    if name == "thresholds":
        return {"thresholds": thresholds({"thresholds": value})[1]}
    if name == "mappings":
        return {"mappings": [each for entry in objects(value) for each in _mapped(entry)][:200]}
    if name == "links":
        return {"links": field_links(value)}
    return {} if name in _WITHOUT_EFFECT else None


def _simple_style(name: str, value: Any) -> dict[str, Any] | None:
    match name:
        case "color":
            return {"color": color(mapping(value).get("fixedColor"))}
        case "displayName":
            return {"label": text(value)[:200] or None}
        case "decimals":
            return {"decimals": _whole(value, 10)}
        case "min" | "max":
            return {name: number(value)}
        case "custom.hideFrom":
            return {"hidden": mapping(value).get("viz") is True or None}
        case "custom.hidden":
            return {"hidden": value is True or None}
        case "custom.transform":
            return {"negative": value == "negative-Y" or None}
        case "custom.drawStyle":
            return {"kind": _DRAWN.get(text(value))}
        case "custom.axisPlacement":
            return {"axis": text(value) if text(value) in ("left", "right", "hidden") else None}
        case "custom.stacking":
            mode = text(dig(value, "mode"))
            # A group that is false is one of its own: a total beside the parts that make it.
            group = "alone" if dig(value, "group") is False else text(dig(value, "group")) or "A"
            return {"stack": "" if mode == "none" else group[:50]}
        case "custom.lineWidth":
            return {"line_width": _whole(value, 10)}
        case "custom.fillOpacity":
            return {"fill": _whole(value, 100)}
        case "custom.lineStyle":
            return {"line_style": line_style(value)}
        case "custom.lineInterpolation":
            return {"interpolation": interpolation(value)}
        case "custom.showPoints":
            return {"points": text(value) if text(value) in ("auto", "always", "never") else None}
        case "custom.width":
            found = number(value)
            return {"width": int(found) if found is not None and 10 <= found <= 2000 else None}
        case "custom.align":
            return {"align": text(value) if text(value) in ("left", "center", "right") else None}
        case "custom.cellOptions" | "custom.displayMode":
            return {"cell": cell(value)}
    return None


def interpolation(value: Any) -> str | None:
    """How a line runs between its points."""
    known = ("linear", "smooth", "stepBefore", "stepAfter")
    return text(value) if text(value) in known else None


def web_address(value: Any) -> str | None:
    """The address of a link, if it is one of the web or a path; variables may be in it."""
    url = text(value)
    if url.startswith(("d/", "dashboard/", "/d/", "?")):
        url = "/" + url.lstrip("/")
    leads = url.startswith(("https://", "http://", "/", "$"))
    # A browser takes `//host` and `/\host` for another host.
    elsewhere = url.startswith(("//", "/\\"))
    if not leads or elsewhere or any(map(str.isspace, url)) or url.startswith("$"):
        return None
    return queries.variables(url)[:2000]


def field_links(value: Any) -> list[FieldLink]:
    """Data links; those that lead to no address are left out."""
    links = [
        FieldLink(title=queries.variables(text(link.get("title")))[:200], url=url)
        for link in objects(value)
        if (url := web_address(link.get("url"))) is not None
    ]
    return links[:20]


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
