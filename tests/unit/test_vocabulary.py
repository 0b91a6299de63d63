"""Words that this project has replaced by the field's do not come back.

Only words without an ordinary English use are listed: a word such as "answer" or "kept" is wrong
in one meaning only, which no test can tell. docs/glossary.md has the words to use.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

REPLACED = {
    "bearings?": "dependency range",
    "splic(?:e|es|ed|ing)": "merge",
    "owed": "pending",
    "bury|buried": "set_aside",
    "askers?": "KeyChecker",
    "pushers?": "AgentWriter",
    "watchful": "always evaluated",
    "were_right": "verified",
    "live_?rules?": "RuleSnapshot",
    "own_metrics": "telemetry",
    "own[-_ ]figures": "telemetry",
    "still_good": "valid",
    "lean[-_ ]imports": "lazy imports",
    r"pulseboard[./](?:domain|stores|http)(?:[./]\w+)?": "the capability's folder",
}
"""A pattern of the old word, in lower case, and what to use."""

ALLOWED = {
    "splice(": "Array.prototype.splice of JavaScript",
    "own_metrics_interval": "the name of a setting is public",
    "OWN_METRICS_INTERVAL": "the same, in the environment",
}
"""Text that may hold an old word, with the reason."""

SKIPPED = {
    "tests/unit/test_vocabulary.py": "lists them",
    "docs/adr/0090-folders-by-capability.md": "names files of the former layout",
}
FOLDERS = ("shared/src", "functions", "infra", "layers", "bench", "tests", "docs", "frontend/src")
# Not of migrations: what has been applied does not change.
SUFFIXES = {".py", ".md", ".ts", ".tsx", ".css", ".mjs", ".sh", ".yml"}
GENERATED = {"node_modules", "generated", "__pycache__", "build"}


def _files() -> Iterator[Path]:
    yield from ROOT.glob("*.md")
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*"):
            inside = path.relative_to(ROOT)
            if (
                path.suffix in SUFFIXES
                and not GENERATED.intersection(inside.parts)
                and str(inside) not in SKIPPED
            ):
                yield path


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    """Each file's name and text by its path, without what is allowed."""
    found = {}
    for path in _files():
        name = str(path.relative_to(ROOT))
        text = f"{name}\n{path.read_text(encoding='utf-8')}"
        for allowed in ALLOWED:
            text = text.replace(allowed, "")
        found[name] = text
    return found


@pytest.mark.parametrize(("word", "instead"), REPLACED.items())
def test_replaced_words_stay_away(word: str, instead: str, texts: dict[str, str]) -> None:
    # A part of a name counts too: `_live_rule`, `LiveRule`; "allowed" does not hold "owed".
    old = re.compile(rf"(?<![a-z])(?:{word})(?![a-z])", re.IGNORECASE)
    hits = [
        f"{name}:{text.count(chr(10), 0, match.start())}: {match[0]}"
        for name, text in texts.items()
        for match in old.finditer(text)
    ]
    assert not hits, f"use “{instead}”:\n" + "\n".join(hits[:40])
