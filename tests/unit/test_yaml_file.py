"""YAML files, through the command that reads them."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from pulseboard.agent import rules
from pulseboard.agent.yaml_file import UnreadableFile, read

BOMB = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (BOMB, "line 8: with its aliases (*name) written out this has more than the 20000000"),
        (f"rules:\n- &r {{name: m}}\n- *r\n- labels: {{{BOMB.replace(chr(10), ', ')}}}", "aliases"),
        ("a: &a\n  b: *a\n", "line 1: an alias (*name) is inside of its own"),
        # Refused where it gets too deep: what follows is not scanned.
        ("[\n" * 5_000 + "]" * 5_000, "line 101: this is nested too deeply"),
        ("{a:\n" * 5_000, "line 101: this is nested too deeply"),
        ("- " * 5_000 + "x", "line 1: this is nested too deeply"),
        ("? " * 5_000 + "x", "line 1: this is nested too deeply"),
        ("".join(" " * n + "a:\n" for n in range(300)), "line 101: this is nested too deeply"),
        ("a: " + "1" * 5_000, "a number"),
        ("a: 2001-99-99", "a date"),
        ("a: !!int ''", "with a tag"),
        ("a: !!bool maybe", "with a tag"),
        ("a: !!timestamp now", "with a tag"),
        ("a: [", "is no YAML"),
        ("a: {b: c", "is no YAML"),
        ("\0", "is no YAML"),
    ],
)
def test_what_can_t_be_read_is_a_sentence(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "rules.yml"
    file.write_text(text, encoding="utf-8")
    done = CliRunner().invoke(rules.app, ["check", str(file)])
    assert done.exit_code == 1
    assert says in done.output
    assert "Traceback" not in done.output


@pytest.mark.parametrize("command", ["apply", "diff", "test"])
def test_no_command_unfolds_a_file(tmp_path: Path, command: str) -> None:
    file = tmp_path / "rules.yml"
    file.write_text(BOMB, encoding="utf-8")
    done = CliRunner().invoke(rules.app, [command, str(file)])
    assert done.exit_code == 1
    assert "that are accepted" in done.output


def test_aliases_that_stay_small_are_read(tmp_path: Path) -> None:
    file = tmp_path / "rules.yml"
    file.write_text("base: &b {x: 1}\none: {<<: *b, y: [*b, *b]}\n", encoding="utf-8")
    assert read(file) == {"base": {"x": 1}, "one": {"x": 1, "y": [{"x": 1}, {"x": 1}]}}
    file.write_text("[" * 90 + "]" * 90, encoding="utf-8")
    assert isinstance(read(file), list)
    file.write_text("", encoding="utf-8")
    assert read(file) is None
    with pytest.raises(UnreadableFile, match="can't read"):
        read(tmp_path / "missing.yml")
