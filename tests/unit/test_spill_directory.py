"""The spill on disk, when somebody deletes its directory while it is in use."""

import shutil
from pathlib import Path

from pulseboard.ingest.spill_directory import SpillDirectory
from pulseboard.ingest.spill_file import file_name


def test_a_directory_that_is_deleted_comes_back(tmp_path: Path) -> None:
    home = tmp_path / "spill"
    spill = SpillDirectory(home)
    name = file_name(b"x" * 100, arrived=5)
    shutil.rmtree(home)
    assert spill.waiting() == []
    shutil.rmtree(home)
    assert spill.dead() == 0
    shutil.rmtree(home)
    assert spill.read(name) is None
    spill.remove(name)
    spill.put(name, b"batch")
    assert spill.waiting() == [(name, 5)]
    shutil.rmtree(home)
    spill.set_aside(name, b"batch", "why")
    assert spill.dead() == 1
    assert (home / "dead" / f"{name}.reason.txt").read_text() == "why\n"
    assert (home / "dead").stat().st_mode & 0o077 == 0
