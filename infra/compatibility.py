"""Whether the API of this work tree still serves clients of the released one.

    python -m infra.compatibility            compare, 1 when something breaks
    python -m infra.compatibility --release  copy the current document as the released one

Broken is: a path, an operation, its name, a field or a status that went; an input that is newly
required; a type that changed; an enum or a bound of an input that narrowed; a field of a response
that is no longer always there. New responses, fields and optional inputs are fine.
"""

import argparse
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SHARED = Path(__file__).parents[1] / "shared"
CURRENT = SHARED / "openapi.json"
RELEASED = SHARED / "openapi.released.json"

Document = dict[str, Any]
_UPPER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_LOWER = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")


def breaking(released: Document, current: Document) -> list[str]:
    """One sentence for each breaking change, in the order of the paths."""
    return list(dict.fromkeys(_Comparison(released, current).changes()))


class _Comparison:
    def __init__(self, released: Document, current: Document) -> None:
        self.old, self.new = released, current
        self.seen: set[tuple[str, str, bool]] = set()

    def changes(self) -> Iterator[str]:
        for path, operations in sorted(self.old.get("paths", {}).items()):
            now = self.new.get("paths", {}).get(path)
            if now is None:
                yield f"{path}: the path is gone"
                continue
            for method, operation in sorted(operations.items()):
                name = f"{method.upper()} {path}"
                if method not in now:
                    yield f"{name}: the operation is gone"
                else:
                    yield from self._operation(name, operation, now[method])

    def _operation(self, name: str, old: Document, new: Document) -> Iterator[str]:
        if old.get("operationId") != new.get("operationId"):
            was, now = old.get("operationId"), new.get("operationId")
            yield f"{name}: operationId {was} became {now}, which renames it in every SDK"
        yield from self._parameters(name, old, new)
        before, after = old.get("requestBody"), new.get("requestBody")
        if after and after.get("required") and not (before and before.get("required")):
            yield f"{name}: a body is newly required"
        self.seen.clear()
        for kind, content in (before or {}).get("content", {}).items():
            now = (after or {}).get("content", {}).get(kind)
            if now is None:
                yield f"{name}: bodies of {kind} are no longer accepted"
            else:
                yield from self._schema(
                    f"{name} body", content.get("schema", {}), now.get("schema", {}), True
                )
        for status, response in old.get("responses", {}).items():
            if not status.startswith("2"):
                continue
            then = new.get("responses", {}).get(status)
            if then is None:
                yield f"{name}: the response {status} is gone"
                continue
            for kind, content in response.get("content", {}).items():
                now = then.get("content", {}).get(kind)
                if now is None:
                    yield f"{name}: {status} no longer returns {kind}"
                else:
                    yield from self._schema(
                        f"{name} {status}", content.get("schema", {}), now.get("schema", {}), False
                    )

    def _parameters(self, name: str, old: Document, new: Document) -> Iterator[str]:
        def by_name(operation: Document) -> dict[tuple[str, str], Document]:
            return {(x["in"], x["name"]): x for x in operation.get("parameters", [])}

        before, after = by_name(old), by_name(new)
        for key, parameter in after.items():
            if parameter.get("required") and not before.get(key, {}).get("required"):
                yield f"{name}: the {key[0]} parameter {key[1]} is newly required"
        for key, parameter in before.items():
            if key not in after:
                yield f"{name}: the {key[0]} parameter {key[1]} is gone"
            else:
                self.seen.clear()
                yield from self._schema(
                    f"{name} {key[1]}",
                    parameter.get("schema", {}),
                    after[key].get("schema", {}),
                    True,
                )

    def _schema(self, path: str, old: Any, new: Any, sent: bool) -> Iterator[str]:
        if not isinstance(old, dict) or not isinstance(new, dict):
            return
        mark = (old.get("$ref", ""), new.get("$ref", ""), sent)
        if any(mark[:2]):
            if mark in self.seen:
                return
            self.seen.add(mark)
        old, new = _resolve(self.old, old), _resolve(self.new, new)
        before, after = _types(self.old, old), _types(self.new, new)
        lost = before - after if sent else after - before
        if before and after and lost and not (lost == {"integer"} and "number" in before | after):
            was, now = " or ".join(sorted(before)), " or ".join(sorted(after))
            yield f"{path}: {was} became {now}"
            return
        yield from self._values(path, old, new, sent)
        yield from self._fields(path, old, new, sent)
        for key in ("items", "additionalProperties"):
            yield from self._schema(f"{path}[]", old.get(key), new.get(key), sent)
        yield from self._variants(path, old, new, sent)

    def _values(self, path: str, old: Document, new: Document, sent: bool) -> Iterator[str]:
        if not sent:
            return
        if "enum" in new:
            for value in [v for v in old.get("enum", []) if v not in new["enum"]]:
                yield f"{path}: the value {value!r} is no longer accepted"
            if "enum" not in old:
                yield f"{path}: only {', '.join(map(str, new['enum']))} are accepted now"
        for key in _UPPER:
            if key in new and new[key] < old.get(key, float("inf")):
                yield f"{path}: {key} went down to {new[key]}"
        for key in _LOWER:
            if key in new and new[key] > old.get(key, float("-inf")) and (key in old or new[key]):
                yield f"{path}: {key} went up to {new[key]}"

    def _fields(self, path: str, old: Document, new: Document, sent: bool) -> Iterator[str]:
        before, after = old.get("properties", {}), new.get("properties", {})
        for name in before:
            if name not in after:
                yield f"{path}.{name}: the field is gone"
            else:
                yield from self._schema(f"{path}.{name}", before[name], after[name], sent)
        was, now = set(old.get("required", [])), set(new.get("required", []))
        if sent:
            for name in sorted(now - was):
                yield f"{path}.{name}: newly required"
        else:
            for name in sorted((was - now) & set(after)):
                yield f"{path}.{name}: no longer always in the response"

    def _variants(self, path: str, old: Document, new: Document, sent: bool) -> Iterator[str]:
        for word in ("anyOf", "oneOf"):
            after = {_key(variant): variant for variant in new.get(word, [])}
            for variant in old.get(word, []):
                if _key(variant) in after:
                    yield from self._schema(path, variant, after[_key(variant)], sent)
                elif sent and after:
                    yield f"{path}: {_key(variant)} is no longer accepted"


def _resolve(document: Document, schema: Document) -> Document:
    while "$ref" in schema:
        found: Any = document
        for part in schema["$ref"].removeprefix("#/").split("/"):
            found = found.get(part, {})
        schema = found
    return schema


def _types(document: Document, schema: Document) -> set[str]:
    """Every JSON type that the schema accepts; empty when it accepts any."""
    schema = _resolve(document, schema)
    if "type" in schema:
        kind = schema["type"]
        return {kind} if isinstance(kind, str) else set(kind)
    parts = [_types(document, x) for word in ("anyOf", "oneOf") for x in schema.get(word, [])]
    return set().union(*parts) if parts and all(parts) else set()


def _key(variant: Document) -> str:
    if "$ref" in variant:
        return str(variant["$ref"]).rpartition("/")[2]
    return f"{variant.get('type', 'any')} {variant.get('format', '')}".strip()


def main() -> int:
    """Compare, or release."""
    parser = argparse.ArgumentParser(description="Look for breaking changes of the API.")
    parser.add_argument("--release", action="store_true")
    if parser.parse_args().release:
        shutil.copyfile(CURRENT, RELEASED)
        print(f"{RELEASED.name} is now what clients may rely on")
        return 0
    found = breaking(json.loads(RELEASED.read_text()), json.loads(CURRENT.read_text()))
    for change in found:
        print(change)
    if found:
        print(
            f"\n{len(found)} change(s) break clients of the released API. Keep the old shape beside"
            " the new one, or serve the new one under a new version of the path. Before a first"
            " release, `make openapi-release` copies the current document as the released one."
        )
        return 1
    print("Clients of the released API go on working.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
