"""What a cold start must not carry; `make bench` has the times (bench/cold.py)."""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

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


def _alone(code: str) -> str:
    """What this prints in a process of its own, where nothing else has been imported before."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.fail(done.stderr[-1000:])
    return done.stdout


@cache
def _imported(name: str) -> frozenset[str]:
    code = f"import functions.{name}.handler, sys; print(*(n for n, m in sys.modules.items() if m))"
    return frozenset(_alone(code).split())


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
    code = (
        "import gc; passes = [];"
        "gc.callbacks.append(lambda phase, _: passes.append(phase));"
        "from functions import bootstrap; bootstrap.before_imports(); del passes[:];"
        f"import functions.{name}.handler; print(len(passes), gc.get_freeze_count() > 40_000,"
        "gc.get_threshold()[0])"
    )
    assert _alone(code).split() == ["0", "True", "50000"]


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
import json
import functions.dev
from aws_lambda_powertools.utilities import jmespath_utils
from fastapi.openapi import models
from pydantic import BaseModel
assert jmespath_utils.query({"a": {"b": 1}}, "a.b") == 1
class Later(BaseModel):
    after: "int"
assert Later.__pydantic_complete__, "only FastAPI's models are put off"
assert not models.Schema.__pydantic_complete__
print(json.dumps(functions.dev.openapi()))
models.OpenAPI.model_validate({"openapi": "3.1.0", "info": {"title": "t", "version": "1"}})
assert models.OpenAPI.__pydantic_complete__
"""
    )
    committed = json.loads((ROOT / "shared" / "openapi.json").read_text(encoding="utf-8"))
    assert json.loads(document) == committed
