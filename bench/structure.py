"""Counts how the package is laid out: from its imports, without running any of its code.

python -m bench structure [--root CHECKOUT] [--flows DOCUMENT]

- the share of imports between modules that cross a top-level folder
- circles of imports, between modules and between folders
- the largest folder's share of the lines
- for each flow of docs/architecture.md: the files it passes, and how often it changes folder

`contracts`, `core` and `db` are the base that every folder may import; so are modules that lie
directly in the package. Imports of the base are counted apart. An import below `if TYPE_CHECKING`
is not one at run time, so it makes no circle. An import inside a function is one.
"""

import argparse
import ast
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).parents[1]
FLOWS = "docs/architecture.md"
BASE = frozenset({"contracts", "core", "db", "promql"})
PACKAGE = "pulseboard"

CROSSING_GOAL = 0.20
LARGEST_GOAL = 0.20
CHANGES_GOALS = {"A query": 7, "Deciding an alert": 0}
"""At most so many changes of folder, by flow."""


@dataclass(frozen=True, slots=True)
class Import:
    """A module of ours that imports another one."""

    importer: str
    imported: str
    runtime: bool
    """False below `if TYPE_CHECKING`."""


@dataclass(frozen=True)
class Structure:
    """The modules of a checkout, by dotted name, and their imports of each other."""

    root: Path
    files: Mapping[str, Path]
    """Of the package and of `functions`."""

    @cached_property
    def imports(self) -> frozenset[Import]:
        """Every pair of modules once; at run time if any of its imports is."""
        found: dict[tuple[str, str], bool] = {}
        for name, file in self.files.items():
            for imported, runtime in _imports(file, self.files):
                if imported != name:
                    pair = (name, imported)
                    found[pair] = found.get(pair, False) or runtime
        return frozenset(Import(*pair, runtime) for pair, runtime in found.items())

    @property
    def own(self) -> list[Import]:
        """Imports inside the package."""
        return sorted(
            (each for each in self.imports if _is_own(each.importer) and _is_own(each.imported)),
            key=lambda each: (each.importer, each.imported),
        )

    def folder(self, module: str) -> str:
        """The top-level folder; of a module directly in the package its own name."""
        parts = module.split(".")
        if parts[0] != PACKAGE:
            return parts[0]
        return parts[1] if len(parts) > 1 else PACKAGE

    def in_base(self, module: str) -> bool:
        """Whether a module is of the base, or directly in the package."""
        directly = self.files[module].parent.name == PACKAGE
        return directly or self.folder(module) in BASE

    @property
    def counted(self) -> list[Import]:
        """Imports inside the package, but for those that other folders make of the base."""
        return [
            each
            for each in self.own
            if not self.in_base(each.imported)
            or self.folder(each.importer) == self.folder(each.imported)
        ]

    def crossing(self, imports: Iterable[Import]) -> list[Import]:
        """Those that cross a top-level folder."""
        return [x for x in imports if self.folder(x.importer) != self.folder(x.imported)]

    def module_circles(self, *, runtime: bool = True) -> list[list[str]]:
        """Modules that import each other, directly or not; with `runtime` off, types count too."""
        return _circles((x.importer, x.imported) for x in self.own if x.runtime or not runtime)

    def folder_circles(self) -> list[list[str]]:
        """The same of top-level folders, at run time."""
        edges = ((self.folder(x.importer), self.folder(x.imported)) for x in self.own if x.runtime)
        return _circles((one, other) for one, other in edges if one != other)

    def lines(self) -> Counter[str]:
        """Lines by top-level folder."""
        found: Counter[str] = Counter()
        for module, file in self.files.items():
            if _is_own(module):
                found[self.folder(module)] += len(file.read_text(encoding="utf-8").splitlines())
        return found

    def path(self, module: str) -> str:
        """As the documents name it: below the package, or `functions/…`."""
        file = self.files[module]
        package = self.root / "shared" / "src" / PACKAGE
        return str(file.relative_to(package if _is_own(module) else self.root))

    def changes(self, flow: Iterable[str]) -> int:
        """How often a list of files changes folder from one to the next."""
        folders = [file.partition("/")[0] for file in flow]
        return sum(one != other for one, other in pairwise(folders))

    def flow_errors(self, flow: list[str]) -> Iterator[str]:
        """Files of a flow that do not exist, or that no earlier file of it imports."""
        modules = {self.path(module): module for module in self.files}
        imports = {(x.importer, x.imported) for x in self.imports}
        for number, file in enumerate(flow):
            if file not in modules:
                yield f"{file} does not exist"
            elif number and not any(
                (modules[earlier], modules[file]) in imports
                for earlier in flow[:number]
                if earlier in modules
            ):
                yield f"{file} is imported by no earlier file of the flow"


def read(root: Path = ROOT) -> Structure:
    """The structure of a checkout."""
    files = {
        name: file
        for folder in (root / "shared" / "src" / PACKAGE, root / "functions")
        for file in sorted(folder.rglob("*.py"))
        for name in [_module(file.relative_to(folder.parent))]
    }
    return Structure(root, files)


def read_flows(document: Path) -> dict[str, list[str]]:
    """The flows of a document: each heading `### …` with a numbered list, one step an item, whose
    files stand in front of its first colon."""
    flows: dict[str, list[str]] = {}
    heading = ""
    for line in document.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            heading = line.lstrip("# ")
        elif item := re.match(r"\d+\. ((?:`[\w./]+\.py`(?:, )?)+)", line):
            flows.setdefault(heading, []).extend(re.findall(r"`([^`]+)`", item[1]))
    return flows


def _module(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _is_own(module: str) -> bool:
    return module.partition(".")[0] == PACKAGE


def _imports(file: Path, known: Mapping[str, Path]) -> Iterator[tuple[str, bool]]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    types_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for statement in node.body
        for inner in ast.walk(statement)
    }
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            # What is imported from a package is a module of it, or a name in its __init__.
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in known else node.module for name in inner]
        for name in names:
            if name in known:
                yield name, id(node) not in types_only


def _circles(edges: Iterable[tuple[str, str]]) -> list[list[str]]:
    """Strongly connected components of more than one node (Tarjan 1972)."""
    graph: dict[str, set[str]] = {}
    for one, other in edges:
        graph.setdefault(one, set()).add(other)
        graph.setdefault(other, set())
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in graph[node]:
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            start = stack.index(node)
            component = stack[start:]
            del stack[start:]
            if len(component) > 1:
                found.append(sorted(component))

    for node in sorted(graph):
        if node not in index:
            visit(node)
    return sorted(found)


def _met(good: bool) -> str:
    return "met" if good else "MISSED"


def _print_imports(structure: Structure) -> None:
    own, counted = structure.own, structure.counted
    every, crossing = structure.crossing(own), structure.crossing(counted)
    share = len(crossing) / len(counted)
    print(f"modules {sum(map(_is_own, structure.files))}, imports between them {len(own)}")
    print(
        f"imports that cross a folder  {len(crossing)} of {len(counted)} = {share:.1%}"
        f" (goal: {CROSSING_GOAL:.0%})  {_met(share <= CROSSING_GOAL)}"
    )
    print(f"  with those of the base     {len(every)} of {len(own)} = {len(every) / len(own):.1%}")
    pairs = Counter((structure.folder(x.importer), structure.folder(x.imported)) for x in crossing)
    for (one, other), count in pairs.most_common():
        print(f"  {count:4} {one} → {other}")


def _print_circles(structure: Structure) -> None:
    for what, circles in (
        ("circles of folders", structure.folder_circles()),
        ("circles of modules", structure.module_circles()),
    ):
        print(f"{what}  {len(circles)} (goal: none)  {_met(not circles)}")
        for circle in circles:
            print(f"       {', '.join(circle)}")
    types = structure.module_circles(runtime=False)
    print(f"circles of modules, types included  {len(types)}")
    for circle in types:
        print(f"       {', '.join(circle)}")


def _print_folders(structure: Structure) -> None:
    lines = structure.lines()
    ((largest, most),) = lines.most_common(1)
    share = most / lines.total()
    print(
        f"largest folder  {largest}, {share:.1%} of {lines.total():,} lines"
        f" (goal: {LARGEST_GOAL:.0%})  {_met(share <= LARGEST_GOAL)}"
    )
    for folder, count in lines.most_common():
        print(f"  {count:6,} {folder}")


def _print_flows(structure: Structure, flows: Mapping[str, list[str]]) -> None:
    for name, flow in flows.items():
        changes = structure.changes(flow)
        goal = CHANGES_GOALS.get(name)
        held = "" if goal is None else f" (goal: at most {goal})  {_met(changes <= goal)}"
        print(f"{name}: {len(flow)} files, changes folder {changes} times{held}")
        for file in flow:
            print(f"       {file}")
        for error in structure.flow_errors(flow):
            print(f"  wrong: {error}")


def main(arguments: list[str] | None = None) -> None:
    """Print all of it."""
    parser = argparse.ArgumentParser(prog="python -m bench structure", description=__doc__)
    parser.add_argument("--root", type=Path, default=ROOT, help="another checkout")
    parser.add_argument("--flows", type=Path, help=f"the document with its flows, not {FLOWS}")
    options = parser.parse_args(arguments)
    structure = read(options.root.resolve())
    _print_imports(structure)
    _print_circles(structure)
    _print_folders(structure)
    document = options.flows or structure.root / FLOWS
    _print_flows(structure, read_flows(document))


if __name__ == "__main__":
    main()
