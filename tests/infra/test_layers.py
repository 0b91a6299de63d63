"""The Lambda layers hold what the target needs, nothing else, and are reproducible."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from layers.build import LIMIT_BYTES, BuildError, _interpreter, build, find_uv

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.infra, pytest.mark.timeout(600)]


def _build(out: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "layers.build", "--local", "--out", str(out), "--uv", find_uv()],
        cwd=ROOT,
        check=True,
    )


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For this Python, so that the bytecode is part of it."""
    out = tmp_path_factory.mktemp("local")
    _build(out)
    return out


def test_building_twice_gives_the_same_bytes(local: Path, tmp_path: Path) -> None:
    _build(tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {path.name for path in local.iterdir()}
    for name in names:
        assert (tmp_path / name).read_bytes() == (local / name).read_bytes(), name


def test_bytecode_goes_along_and_names_no_path_of_this_machine(local: Path) -> None:
    with zipfile.ZipFile(local / "pulseboard.zip") as archive:
        names = archive.namelist()
        modules = [name for name in names if name.endswith(".py")]
        compiled = [name for name in names if name.endswith(".pyc")]
        assert len(compiled) == len(modules) > 50
        for name in compiled:
            # Four bytes of magic, then flags: checked by hash (1), but never (bit 2 unset).
            assert archive.read(name)[4:8] == b"\x01\x00\x00\x00"
            assert str(local).encode() not in archive.read(name)
        assert b"/opt/python/pulseboard/core/settings.py" in archive.read(
            next(name for name in compiled if "/settings." in name)
        )


def test_without_lambdas_python_nothing_is_built_and_it_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A laptop must not upload other layers than the pipeline."""
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    with pytest.raises(BuildError, match=r"uv python install 9\.9"):
        build(python="9.9", platform="aarch64-manylinux_2_28", out=tmp_path / "out", uv=find_uv())
    assert not (tmp_path / "out").exists()


def test_a_python_that_a_version_manager_hides_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = tmp_path / "versions" / "9.9.1" / "bin" / "python9.9"
    hidden.parent.mkdir(parents=True)
    hidden.write_text("#!/bin/sh\necho 9.9\n")
    hidden.chmod(0o755)
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    assert _interpreter("9.9", uv=find_uv()) == str(hidden)


def test_all_of_it_is_within_the_limits_of_lambda(layers: Path) -> None:
    unzipped = 0
    for path in layers.glob("*.zip"):
        with zipfile.ZipFile(path) as archive:
            unzipped += sum(entry.file_size for entry in archive.infolist())
    assert unzipped < LIMIT_BYTES


def test_native_parts_are_for_the_target(layers: Path) -> None:
    with zipfile.ZipFile(layers / "deps.zip") as archive:
        native = [name for name in archive.namelist() if name.endswith(".so")]
        machines = {archive.read(name)[18:20] for name in native}
    assert native
    # e_machine of the ELF header: 183 is AArch64.
    assert machines == {(183).to_bytes(2, "little")}


def test_no_development_or_agent_packages(layers: Path) -> None:
    with zipfile.ZipFile(layers / "deps.zip") as archive:
        packages = {name.split("/")[1] for name in archive.namelist()}
    assert {"fastapi", "mangum", "psycopg", "redis", "pydantic"} <= packages
    assert not packages & {"pytest", "mypy", "ruff", "psutil", "boto3", "uvicorn", "playwright"}


def test_no_handler_is_in_a_layer_so_that_changing_one_changes_none(layers: Path) -> None:
    for name in ("deps.zip", "pulseboard.zip"):
        with zipfile.ZipFile(layers / name) as archive:
            folders = {entry.split("/")[1] for entry in archive.namelist()}
        assert "functions" not in folders, name


def test_our_layer_has_the_migrations(layers: Path) -> None:
    with zipfile.ZipFile(layers / "pulseboard.zip") as archive:
        assert "python/pulseboard/db/migrations/0001_relational.sql" in archive.namelist()
