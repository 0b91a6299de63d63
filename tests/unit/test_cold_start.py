"""What a cold start must not carry; `make bench` has the times (bench/cold.py)."""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from functions.dev import OPENAPI_FILE

ROOT = Path(__file__).parents[2]
FUNCTIONS = sorted(path.parent.name for path in (ROOT / "functions").glob("*/handler.py"))
NO_ARRAYS_AT_FIRST = ["alerts", "auth", "dashboards", "maintain", "migrate", "notify", "query"]
NO_GRAMMAR_AT_FIRST = ["alerts", "auth", "dashboards", "drain", "ingest", "maintain", "notify"]
# Who calls, what failed, and what is accepted without a database.
EVERY_REQUEST = {"api_keys", "base", "envelope", "errors", "ingest", "spill", "vocabulary"}
CONTRACTS = {
    "alerts": {"alerts", "channels", "recordings"},
    "auth": {"auth", "status"},
    "dashboards": {"dashboards", "variables"},
    "ingest": {"events", "metrics"},
    "query": {"metrics", "queries", "usage", "variables"},
}


def _alone(code: str, environment: dict[str, str] | None = None) -> str:
    """What this prints in a process of its own, where nothing else has been imported before."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        check=False,
        env=environment,
    )
    if done.returncode:
        pytest.fail(done.stderr[-1000:])
    return done.stdout


# Passes of the garbage collector are counted from where a handler begins to import.
LOADED = """
import gc, json, sys
passes = []
gc.callbacks.append(lambda phase, _: passes.append(phase))
from functions import bootstrap
bootstrap.before_imports()
del passes[:]
import functions.{name}.handler
scanned = [len(passes), gc.get_freeze_count() > 40_000, gc.get_threshold()[0]]
print(json.dumps([scanned, [name for name, module in sys.modules.items() if module]]))
"""


@cache
def _loaded(name: str) -> tuple[list[Any], frozenset[str]]:
    """What loading a function scanned for garbage, and imported; one process for each function."""
    scanned, imported = json.loads(_alone(LOADED.format(name=name)))
    return scanned, frozenset(imported)


def _imported(name: str) -> frozenset[str]:
    return _loaded(name)[1]


@pytest.mark.parametrize("name", NO_ARRAYS_AT_FIRST)
def test_functions_that_need_no_arrays_at_first_do_not_import_numpy(name: str) -> None:
    assert "numpy" not in _imported(name)


@pytest.mark.parametrize("name", NO_GRAMMAR_AT_FIRST)
def test_functions_that_read_no_queries_at_first_do_not_import_their_grammar(name: str) -> None:
    assert "pulseboard.promql.parser" not in _imported(name)


@pytest.mark.parametrize("name", CONTRACTS)
def test_a_function_builds_no_models_of_another(name: str) -> None:
    contracts = "pulseboard.contracts."
    loaded = {n.removeprefix(contracts) for n in _imported(name) if n.startswith(contracts)}
    assert loaded <= EVERY_REQUEST | CONTRACTS[name]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_function_imports_what_none_uses(name: str) -> None:
    never = {"boto3", "httpx", "jmespath", "pydantic.v1", "pulseboard.contracts.points", "yaml"}
    assert not never & _imported(name)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_was_imported_is_not_scanned_for_garbage(name: str) -> None:
    assert _loaded(name)[0] == [0, True, 50_000]


HEALTH = f"""
import json, sys
import functions.auth.handler
event = json.loads(open({str(ROOT / "events" / "auth.json")!r}).read())
context = type("Context", (), {{"aws_request_id": "1"}})()
response = functions.auth.handler.handler(event, context)
assert response["statusCode"] == 200, response
"""


def test_what_was_put_off_is_still_not_needed_by_a_request() -> None:
    _alone(
        HEALTH
        + """
from fastapi.openapi import models
assert not models.Schema.__pydantic_complete__
assert not models.PathItem.__pydantic_complete__
assert "jmespath" not in sys.modules
assert sys.modules["pydantic.v1"] is None
"""
    )


def test_what_was_put_off_is_done_at_its_first_use() -> None:
    document = _alone(
        """
import sys
import functions.dev
from aws_lambda_powertools.utilities import jmespath_utils
from fastapi.openapi import models
from pydantic import BaseModel
assert jmespath_utils.query({"a": {"b": 1}}, "a.b") == 1
class Later(BaseModel):
    after: "int"
assert Later.__pydantic_complete__, "only FastAPI's models are put off"
assert not models.Schema.__pydantic_complete__
sys.stdout.write(functions.dev.export_openapi())
models.OpenAPI.model_validate({"openapi": "3.1.0", "info": {"title": "t", "version": "1"}})
assert models.OpenAPI.__pydantic_complete__
""",
        environment={"PYTHONPATH": ".", "PYTHONUTF8": "1"},
    )
    assert document == OPENAPI_FILE.read_text(encoding="utf-8"), "run: make openapi"
