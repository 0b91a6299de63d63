"""Which modules a Lambda function imports, read from the sources without running them."""

import ast
from pathlib import Path

from infra.config import ROOT


def modules(start: str) -> set[str]:
    """Every module that `start` imports, directly or not; our own ones are followed."""
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        module = waiting.pop()
        if module in seen:
            continue
        seen.add(module)
        file = _source(module)
        if file is None:
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                waiting += [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                waiting.append(node.module)
                waiting += [f"{node.module}.{alias.name}" for alias in node.names]
    return seen


def folders(function: str) -> list[str]:
    """The folders of `functions/` that a function needs: its own, and those it imports from."""
    found = modules(f"functions.{function}.handler")
    names = {name.split(".")[1] for name in found if name.startswith("functions.")}
    return sorted(name for name in names if (ROOT / "functions" / name).is_dir())


def files(function: str) -> list[str]:
    """The modules directly in `functions/` that a function needs."""
    found = modules(f"functions.{function}.handler")
    names = {f"{name.split('.')[1]}.py" for name in found if name.startswith("functions.")}
    return ["__init__.py", *sorted(name for name in names if (ROOT / "functions" / name).is_file())]


def _source(module: str) -> Path | None:
    if not module.startswith(("functions", "pulseboard")):
        return None
    root = ROOT if module.startswith("functions") else ROOT / "shared" / "src"
    path = root.joinpath(*module.split("."))
    return next((f for f in (path.with_suffix(".py"), path / "__init__.py") if f.is_file()), None)
