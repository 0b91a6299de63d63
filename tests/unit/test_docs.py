"""Documents stay true: every setting is described, every link leads somewhere."""

import re
from pathlib import Path

import pytest

from pulseboard.settings import Settings

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
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
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", document.read_text(encoding="utf-8")):
        if not re.match(r"[a-z]+:", target):
            assert (document.parent / target).exists(), f"{target} in {document.name}"


def test_documented_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, flags=re.MULTILINE))
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        for target in re.findall(r"^make ([a-z-]+)", text, flags=re.MULTILINE):
            assert target in targets, f"make {target} in {document.name}"
