"""The Lambda layers hold what the target needs, nothing else, and are reproducible."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from layers.build import find_uv

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.infra


def _build(out: Path) -> dict[str, bytes]:
    subprocess.run(
        [sys.executable, "-m", "layers.build", "--out", str(out), "--uv", find_uv()],
        cwd=ROOT,
        check=True,
    )
    return {path.name: path.read_bytes() for path in out.iterdir()}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("layers")
    _build(out)
    return out


def test_building_twice_gives_the_same_bytes(built: Path, tmp_path: Path) -> None:
    assert _build(tmp_path) == {path.name: path.read_bytes() for path in built.iterdir()}


def test_native_parts_are_for_the_target(built: Path) -> None:
    with zipfile.ZipFile(built / "deps.zip") as archive:
        native = [name for name in archive.namelist() if name.endswith(".so")]
        machines = {archive.read(name)[18:20] for name in native}
    assert native
    # e_machine of the ELF header: 183 is AArch64.
    assert machines == {(183).to_bytes(2, "little")}


def test_no_development_or_agent_packages(built: Path) -> None:
    with zipfile.ZipFile(built / "deps.zip") as archive:
        packages = {name.split("/")[1] for name in archive.namelist()}
    assert {"fastapi", "mangum", "psycopg", "redis", "pydantic"} <= packages
    assert not packages & {"pytest", "mypy", "ruff", "psutil", "boto3", "uvicorn", "playwright"}


def test_our_layer_has_the_migrations(built: Path) -> None:
    with zipfile.ZipFile(built / "pulseboard.zip") as archive:
        assert "python/pulseboard/migrations/0001_relational.sql" in archive.namelist()
