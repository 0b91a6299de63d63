"""Builds the two Lambda layers without Docker: third-party packages, and our own.

Wheels are chosen for the target platform from the lock file, so the build machine's own platform
does not matter. The modules' bytecode goes along, for which a Python of the target's version must
be on this machine: compiling them is more than half of a cold start, and a laptop without it would
upload other layers than the pipeline. The archives are the same to the byte for the same lock file,
sources and Python: fixed times, fixed order, no paths of this machine.

    python -m layers.build [--python 3.13] [--platform aarch64-manylinux_2_28] [--out layers/build]
    python -m layers.build --local --out layers/build/local     for this Python, on this machine
"""

import argparse
import os
import platform as machine
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
LIMIT_BYTES = 250 * 1024 * 1024
"""The largest size of a function with all its layers, unzipped (AWS Lambda quotas)."""

_FIXED_TIME = (2000, 1, 1, 0, 0, 0)
_LEFT_OUT_FOLDERS = frozenset({"tests", "test", "bin"})
_LEFT_OUT_ENDINGS = (".pyi", ".c", ".h", ".pyx")
_IN_THE_RUNTIME = ("boto3", "botocore", "s3transfer", "jmespath")


@dataclass(frozen=True, slots=True)
class Layer:
    """A built archive. Sizes are in bytes."""

    path: Path
    zipped: int
    unzipped: int


class BuildError(ValueError):
    """The layers can't be built; the message says what to do."""


def build(
    *,
    python: str,
    platform: str,
    out: Path,
    uv: str,
    bundled: bool = False,
    bytecode: bool = True,
) -> list[Layer]:
    """Build both layers for a target; or, `bundled`, one archive with the functions in it too.

    Raises subprocess.CalledProcessError when a wheel for the target is missing, BuildError without
    a Python that makes the target's bytecode, and when the layers together pass Lambda's limit.
    """
    interpreter = _interpreter(python, uv=uv) if bytecode else None
    if bytecode and interpreter is None:
        raise BuildError(
            f"Python {python} is not on this machine: the layers need it for Lambda's bytecode. "
            f"Install it beside yours: `uv python install {python}`, `pyenv install {python}`, or "
            f"`apt install python{python}`."
        )
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        dependencies = Path(scratch) / "deps"
        _install(dependencies / "python", python=python, platform=platform, uv=uv)
        ours = Path(scratch) / "pulseboard"
        shutil.copytree(ROOT / "shared" / "src" / "pulseboard", ours / "python" / "pulseboard",
                        ignore=shutil.ignore_patterns("agent", "__pycache__"))  # fmt: skip
        if interpreter is not None:
            for folder in (dependencies, ours):
                _compile(folder, interpreter)
        if bundled:
            everything = Path(scratch) / "everything"
            for folder in (dependencies, ours):
                shutil.copytree(folder / "python", everything, dirs_exist_ok=True)
            shutil.copytree(ROOT / "functions", everything / "functions",
                            ignore=shutil.ignore_patterns("__pycache__"))  # fmt: skip
            return [_archive(everything, out / "everything.zip")]
        layers = [
            _archive(dependencies, out / "deps.zip"),
            _archive(ours, out / "pulseboard.zip"),
        ]
    total = sum(layer.unzipped for layer in layers)
    if total > LIMIT_BYTES:
        raise BuildError(f"the layers have {total} bytes unzipped, Lambda accepts {LIMIT_BYTES}")
    return layers


def _install(target: Path, *, python: str, platform: str, uv: str) -> None:
    requirements = subprocess.run(
        [uv, "export", "--frozen", "--package", "pulseboard", "--extra", "server", "--no-dev",
         "--no-emit-workspace", "--no-hashes", "--quiet"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    wanted = "\n".join(
        line for line in requirements.splitlines() if not line.startswith(_IN_THE_RUNTIME)
    )
    subprocess.run(
        [uv, "pip", "install", "--quiet", "--target", str(target), "--python-version", python,
         "--python-platform", platform, "--only-binary", ":all:", "--no-deps",
         "--requirements", "-"],
        cwd=ROOT, check=True, input=wanted, text=True,
    )  # fmt: skip


def _interpreter(python: str, *, uv: str) -> str | None:
    """A Python of this version on this machine; also one that a version manager has not put on the
    path, whose stub there fails.
    """
    if python == f"{sys.version_info.major}.{sys.version_info.minor}":
        return sys.executable
    found = subprocess.run(
        [uv, "python", "find", "--no-python-downloads", "--no-project", python],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if found.returncode == 0:
        return found.stdout.strip()
    home = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    installed = sorted(home.glob(f"versions/{python}.*/bin/python{python}"))
    candidates = [shutil.which(f"python{python}"), *map(str, reversed(installed))]
    return next((path for path in candidates if path and _is_python(path, python)), None)


def _is_python(path: str, python: str) -> bool:
    command = [path, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    tried = subprocess.run(command, capture_output=True, text=True, check=False)
    return tried.stdout.strip() == python


def _compile(folder: Path, interpreter: str) -> None:
    """Bytecode beside each module, for its path in /opt; it is used without checking the source."""
    subprocess.run(
        [interpreter, "-m", "compileall", "-q", "-j", "0", "--invalidation-mode", "unchecked-hash",
         "-s", str(folder), "-p", "/opt", str(folder)],
        # Some packages contain files for another Python, which can't be compiled.
        check=False, capture_output=True, env={"PYTHONHASHSEED": "0"},
    )  # fmt: skip


def _archive(folder: Path, path: Path) -> Layer:
    unzipped = 0
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for file in sorted(folder.rglob("*")):
            relative = file.relative_to(folder)
            if not file.is_file() or _LEFT_OUT_FOLDERS & set(relative.parts):
                continue
            # RECORD and direct_url name the build machine's own paths.
            if file.suffix in _LEFT_OUT_ENDINGS or file.name in ("RECORD", "direct_url.json"):
                continue
            entry = zipfile.ZipInfo(relative.as_posix(), _FIXED_TIME)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            data = file.read_bytes()
            unzipped += len(data)
            archive.writestr(entry, data)
    return Layer(path=path, zipped=path.stat().st_size, unzipped=unzipped)


def this_machine() -> tuple[str, str]:
    """Python and platform, as uv calls them, of the interpreter that runs this."""
    processor = {"AMD64": "x86_64", "arm64": "aarch64"}.get(machine.machine(), machine.machine())
    system = "apple-darwin" if sys.platform == "darwin" else "manylinux_2_28"
    return f"{sys.version_info.major}.{sys.version_info.minor}", f"{processor}-{system}"


def find_uv() -> str:
    """uv on the PATH, or the private one that the Makefile installs."""
    return shutil.which("uv") or str(ROOT / ".uv" / "bin" / "uv")


def main() -> None:
    """Build and print the sizes."""
    parser = argparse.ArgumentParser(description="Build the Lambda layers.")
    parser.add_argument("--python", default="3.13")
    parser.add_argument("--platform", default="aarch64-manylinux_2_28")
    parser.add_argument("--out", type=Path, default=ROOT / "layers" / "build")
    parser.add_argument("--uv", default=find_uv())
    parser.add_argument("--local", action="store_true", help="for this Python, on this machine")
    parser.add_argument("--bundled", action="store_true", help="one archive with all code in it")
    parser.add_argument("--without-bytecode", action="store_true", help="for templates only")
    options = parser.parse_args()
    here = this_machine()
    if options.local:
        options.python, options.platform = here
    try:
        layers = build(python=options.python, platform=options.platform, out=options.out,
                       uv=options.uv, bundled=options.bundled,
                       bytecode=not options.without_bytecode)  # fmt: skip
    except BuildError as error:
        sys.exit(str(error))
    for layer in layers:
        sys.stdout.write(
            f"{layer.path.name}: {layer.zipped / 1e6:.1f} MB zipped, "
            f"{layer.unzipped / 1e6:.1f} MB unzipped\n"
        )


if __name__ == "__main__":
    main()
