"""Documents stay true: every setting is described, every link leads somewhere."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from pulseboard.agent.cli import app
from pulseboard.core.settings import Settings

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
DECISIONS = sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))
_OWN_NAMES = {"database_url": "DATABASE_URL", "redis_url": "REDIS_URL"}


def settings_table() -> str:
    """The table of docs/settings.md, from the model."""
    lines = ["| variable | default | meaning |", "| --- | --- | --- |"]
    for name, field in Settings.model_fields.items():
        variable = _OWN_NAMES.get(name, f"PULSEBOARD_{name.upper()}")
        default = field.default
        shown = default.get_secret_value() if hasattr(default, "get_secret_value") else default
        lines.append(f"| `{variable}` | `{shown}` | {field.description} |")
    return "\n".join(lines) + "\n"


def test_every_setting_is_documented() -> None:
    assert settings_table() in (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", document.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = document.parent / name if name else document
        assert file.exists(), f"{target} in {document.name}"
        if anchor:
            assert anchor in _anchors(file), f"{target} in {document.name}"


@pytest.mark.parametrize("decision", DECISIONS, ids=lambda path: path.stem)
def test_decisions_have_one_header_and_stand_in_the_index(decision: Path) -> None:
    text = decision.read_text(encoding="utf-8")
    header = re.match(
        r"# (\d+)\. (.+)\n\n\*\*Status:\*\* (Accepted|Superseded by (\d+))\n\n\*\*Context\.\*\*",
        text,
    )
    assert header, f"{decision.name}: title, status, context"
    number, title, status, successor = header.groups()
    assert int(number) == int(decision.name[:4])
    assert "\n**Decision.**" in text
    if successor:
        assert any(int(other.name[:4]) == int(successor) for other in DECISIONS)
    index = (decision.parent / "README.md").read_text(encoding="utf-8")
    assert f"| {number} | [{title}]({decision.name}) | {status} |" in index


def test_the_index_names_each_decision_once() -> None:
    index = (ROOT / "docs" / "adr" / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| \d+ \| \[.+\]\((.+)\) \|", index, flags=re.MULTILINE)
    assert listed == [decision.name for decision in DECISIONS]


def _anchors(document: Path) -> set[str]:
    """Of its headings, as GitHub makes them."""
    text = re.sub(r"```.*?```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@cache
def _shown(document: Path) -> str:
    """What a document shows as something to type: code in a line and blocks of code."""
    text = document.read_text(encoding="utf-8")
    return "\n".join(re.findall(r"```.*?```|`[^`\n]+`", text, flags=re.DOTALL))


@cache
def _error_texts() -> str:
    """All string constants of the code that people see."""
    files = [
        path
        for folder in ("shared/src", "functions", "infra", "layers")
        for path in (ROOT / folder).rglob("*.py")
        if "node_modules" not in path.parts
    ]
    return "\n".join(
        node.value
        for path in files
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def test_named_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, flags=re.MULTILINE))
    named = r"(?:^|[`(])(?:\w+=\S+ )*make ([a-z][a-z-]+)"
    for document in DOCUMENTS:
        for target in re.findall(named, _shown(document), flags=re.MULTILINE):
            assert target in targets, f"make {target} in {document.name}"
    # The emulator's, on its way.
    targets |= {"local", "local-down", "invoke"}
    for target in re.findall(r"`make ([a-z][a-z-]+)", _error_texts()):
        assert target in targets, f"make {target} in a text of the code"


def test_named_commands_of_pulseboard_exist() -> None:
    commands = {command.name or command.callback.__name__ for command in app.registered_commands
                if command.callback} | {group.name for group in app.registered_groups}  # fmt: skip
    for document in DOCUMENTS:
        for name in re.findall(
            r"(?:^|`)pulseboard ([a-z]+(?:-[a-z]+)*)", _shown(document), re.MULTILINE
        ):
            assert name in commands, f"pulseboard {name} in {document.name}"
    for name in re.findall(r"`pulseboard ([a-z]+(?:-[a-z]+)*)", _error_texts()):
        assert name in commands, f"pulseboard {name} in a text of the code"


def test_named_settings_exist() -> None:
    known = {f"PULSEBOARD_{name.upper()}" for name in Settings.model_fields}
    # Of the agent and of the development server.
    known |= {"PULSEBOARD_URL", "PULSEBOARD_API_KEY", "PULSEBOARD_NO_NAG"}
    for name in ("operating", "deploy", "runbooks", "settings", "alerts", "query-engine"):
        document = ROOT / "docs" / f"{name}.md"
        for setting in re.findall(r"PULSEBOARD_[A-Z_]+", document.read_text(encoding="utf-8")):
            assert setting in known, f"{setting} in {document.name}"
