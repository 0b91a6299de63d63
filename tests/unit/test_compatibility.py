"""Breaking changes of the API are found, and the API has none since its release."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from infra.compatibility import CURRENT, RELEASED, breaking

Document = dict[str, Any]
RELEASE: Document = {
    "paths": {
        "/things": {
            "post": {
                "operationId": "createThing",
                "parameters": [
                    {"in": "query", "name": "size", "schema": {"type": "integer", "maximum": 100}}
                ],
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/T"}}},
                },
                "responses": {
                    "201": {
                        "content": {
                            "application/json": {"schema": {"$ref": "#/components/schemas/T"}}
                        }
                    }
                },
            }
        }
    },
    "components": {
        "schemas": {
            "T": {
                "type": "object",
                "required": ["name"],
                "properties": {
                    "name": {"type": "string"},
                    "kind": {"type": "string", "enum": ["a", "b"]},
                    "child": {"anyOf": [{"$ref": "#/components/schemas/T"}, {"type": "null"}]},
                },
            }
        }
    },
}


def operation(document: Document) -> Document:
    found: Document = document["paths"]["/things"]["post"]
    return found


def thing(document: Document) -> Document:
    found: Document = document["components"]["schemas"]["T"]
    return found


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda d: d["paths"].clear(), "/things: the path is gone"),
        (lambda d: d["paths"]["/things"].clear(), "the operation is gone"),
        (lambda d: operation(d).update(operationId="x"), "renames it in every SDK"),
        (lambda d: operation(d)["responses"].clear(), "the response 201 is gone"),
        (lambda d: operation(d)["parameters"].clear(), "parameter size is gone"),
        (lambda d: operation(d)["parameters"][0].update(required=True), "size is newly required"),
        (lambda d: operation(d)["parameters"][0]["schema"].update(maximum=50), "down to 50"),
        (lambda d: thing(d)["properties"].pop("name"), ".name: the field is gone"),
        (lambda d: thing(d)["required"].append("kind"), ".kind: newly required"),
        (lambda d: thing(d)["required"].clear(), ".name: no longer always in the response"),
        (lambda d: thing(d)["properties"]["kind"]["enum"].pop(), "'b' is no longer accepted"),
        (lambda d: thing(d)["properties"]["name"].update(type="integer"), "string became integer"),
        (lambda d: thing(d)["properties"]["child"]["anyOf"].pop(), "null"),
    ],
)
def test_what_breaks_a_client_is_named(change: Callable[[Document], Any], sentence: str) -> None:
    current = copy.deepcopy(RELEASE)
    change(current)
    assert sentence in "\n".join(breaking(RELEASE, current))


def test_what_adds_is_fine() -> None:
    current = copy.deepcopy(RELEASE)
    current["paths"]["/more"] = {}
    thing(current)["properties"]["extra"] = {"type": "string"}
    thing(current)["properties"]["kind"]["enum"].append("c")
    operation(current)["parameters"].append(
        {"in": "query", "name": "new", "schema": {"type": "string"}}
    )
    operation(current)["responses"]["202"] = {}
    assert breaking(RELEASE, current) == []


def test_a_document_is_compatible_with_itself() -> None:
    released = json.loads(RELEASED.read_text(encoding="utf-8"))
    assert breaking(released, released) == []


def test_nothing_that_was_released_is_broken() -> None:
    released = json.loads(RELEASED.read_text(encoding="utf-8"))
    current = json.loads(CURRENT.read_text(encoding="utf-8"))
    assert breaking(released, current) == [], "make openapi-check explains"
