"""Defers imports of libraries that no function uses, to make cold starts shorter.

`install` comes before every other import (functions/__init__.py). No module behaves otherwise for
it: what is put off is done at its first use, by means that Python and pydantic document. When a
library has moved on, an entry here saves nothing and breaks nothing, and
tests/unit/test_cold_start.py says so.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import LazyLoader
from types import ModuleType

LOADED_AT_FIRST_USE = frozenset(
    {
        # For correlation ids that Powertools' logger is to find in events; it brings jmespath.
        "aws_lambda_powertools.utilities.jmespath_utils",
        # FastAPI's OpenTelemetry support, which nothing here receives.
        "opentelemetry.propagate",
    }
)
"""Modules that others import as a whole, without importing a name from them."""

BUILT_AT_FIRST_USE = "fastapi.openapi.models"
"""The models of an OpenAPI document: FastAPI needs them to write one, which no function does."""


def install() -> None:
    """Defer these imports from now on; modules that are imported already stay as they are."""
    # To find plugins, of which there are none, pydantic reads the metadata of every package.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    # FastAPI checks whether each parameter is a model of pydantic 1, if there is a pydantic.v1.
    sys.modules.setdefault("pydantic.v1", None)  # type: ignore[arg-type]
    sys.meta_path.insert(0, _Finder())


class _Finder(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in LOADED_AT_FIRST_USE and fullname != BUILT_AT_FIRST_USE:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            putting_off = _Unbuilt if fullname == BUILT_AT_FIRST_USE else LazyLoader
            spec.loader = putting_off(spec.loader)
        return spec


class _Unbuilt(Loader):
    """Loads a module whose pydantic models are built each at its first use."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        with _no_building():
            self._loader.exec_module(module)


@contextmanager
def _no_building() -> Iterator[None]:
    from pydantic import BaseModel

    rebuild = BaseModel.__dict__["model_rebuild"]
    BaseModel.model_config["defer_build"] = True
    # Pydantic needs it where models name each other; a first use resolves names as well.
    BaseModel.model_rebuild = classmethod(lambda cls: None)  # type: ignore[assignment]
    try:
        yield
    finally:
        BaseModel.model_rebuild = rebuild  # type: ignore[method-assign]
        del BaseModel.model_config["defer_build"]
