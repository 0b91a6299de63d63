"""The layout of the package stays what it is meant to be; its flows are described as they are."""

from pathlib import Path

import pytest

from bench import structure

ROOT = Path(__file__).parents[2]
NOW = structure.read(ROOT)
FLOWS = structure.read_flows(ROOT / structure.FLOWS)


def test_few_imports_cross_a_folder() -> None:
    crossing = NOW.crossing(NOW.counted)
    share = len(crossing) / len(NOW.counted)
    named = "\n".join(f"{each.importer} → {each.imported}" for each in crossing)
    assert share <= structure.CROSSING_GOAL, f"{share:.1%}:\n{named}"


def test_no_circles_of_imports() -> None:
    assert NOW.module_circles() == []
    assert NOW.folder_circles() == []


def test_no_folder_outgrows_the_others() -> None:
    lines = NOW.lines()
    ((folder, most),) = lines.most_common(1)
    share = most / lines.total()
    assert share <= structure.LARGEST_GOAL, f"{folder} holds {share:.1%} of the lines: split it"


def test_the_flows_are_described() -> None:
    assert set(FLOWS) == {
        "A sample",
        "A query",
        "A tick of the alert rules",
        "Deciding an alert",
        "A notification",
        "A dashboard save",
    }


@pytest.mark.parametrize("name", FLOWS)
def test_a_flow_passes_the_files_that_are_named(name: str) -> None:
    errors = list(NOW.flow_errors(FLOWS[name]))
    assert not errors, f"mend docs/architecture.md, {name}: {'; '.join(errors)}"


@pytest.mark.parametrize(("name", "goal"), structure.CHANGES_GOALS.items())
def test_a_flow_seldom_changes_folder(name: str, goal: int) -> None:
    assert NOW.changes(FLOWS[name]) <= goal


def test_imports_are_read_from_every_form(tmp_path: Path) -> None:
    package = tmp_path / "shared" / "src" / "pulseboard"
    for name, text in {
        "query/__init__.py": "",
        "query/engine.py": "from pulseboard.query import plan\nfrom pulseboard.db import database",
        "query/plan.py": (
            "from typing import TYPE_CHECKING\n"
            "if TYPE_CHECKING:\n    from pulseboard.query.engine import Engine\n"
            "def run():\n    import pulseboard.ingest.batch"
        ),
        "ingest/batch.py": "import json",
        "db/database.py": "",
    }.items():
        file = package / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    found = structure.read(tmp_path)
    engine, plan = "pulseboard.query.engine", "pulseboard.query.plan"
    assert found.imports == {
        structure.Import(engine, plan, True),
        structure.Import(engine, "pulseboard.db.database", True),
        structure.Import(plan, engine, False),
        structure.Import(plan, "pulseboard.ingest.batch", True),
    }
    assert len(found.counted) == 3
    assert [each.imported for each in found.crossing(found.counted)] == ["pulseboard.ingest.batch"]
    assert found.module_circles() == []
    assert found.module_circles(runtime=False) == [[engine, plan]]
    flow = ["query/engine.py", "ingest/batch.py", "query/gone.py"]
    assert found.changes(flow) == 2
    assert list(found.flow_errors(flow)) == [
        "ingest/batch.py is imported by no earlier file of the flow",
        "query/gone.py does not exist",
    ]
