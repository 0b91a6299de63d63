"""A private root in which the database instance's first boot runs, without AWS and without root
disks: Debian's PostgreSQL and pgBouncer, a volume that is a directory, and a recording `aws`."""

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

from infra.constructs.timescaledb import script

HERE = Path(__file__).parent
NAME = "database.pulseboard.internal"
PATH = "/stub/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
VALUES = {
    "REGION": "eu-central-1",
    "VOLUME": "vol-0123",
    "SECRET": "arn:aws:secretsmanager:eu-central-1:1:secret:db",
    "ZONE": "Z1",
    "NAME": NAME,
    "CLIENTS": "200",
    "CREDENTIALS": "s3://credentials/database.json",
}


def missing() -> str | None:
    """What this machine lacks for it, as a sentence; None when nothing."""
    if os.geteuid() != 0:
        return "A private root needs root: unshare, mount."
    wanted = ("pg_createcluster", "pgbouncer", "unshare", "nsenter", "openssl", "jq")
    absent = [
        name for name in wanted if not shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
    ]
    if absent or postgres() is None:
        return f"Not installed ({', '.join(absent) or 'postgresql'}): make test-tools."
    tried = subprocess.run(
        ["unshare", "--mount", "--pid", "--net", "--fork", "true"], capture_output=True, check=False
    )
    return None if tried.returncode == 0 else "This machine permits no namespaces (unshare)."


def postgres() -> str | None:
    """The newest major version of Debian's PostgreSQL here."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[-3]))
    return found[-1].parts[-3] if found else None


class Instance:
    """One instance: its own root disk, until `terminate`. `volume` and `state` outlive it."""

    def __init__(self, scratch: Path, volume: Path) -> None:
        self.volume = volume
        self.state = scratch / "stub"
        disk = scratch / "disk"
        for folder in (self.state, disk, volume):
            folder.mkdir(parents=True, exist_ok=True)
        (self.state / "ready").unlink(missing_ok=True)
        (self.state / "mounted").unlink(missing_ok=True)
        self.version = postgres() or ""
        self._holder = subprocess.Popen(
            ["unshare", "--mount", "--pid", "--net", "--fork", "--kill-child", "bash",
             str(HERE / "setup.sh"), str(HERE / "bin"), str(volume), str(self.state), str(disk),
             self.version],
        )  # fmt: skip
        self._root = disk / "root"
        while not (self.state / "ready").exists():
            assert self._holder.poll() is None, "the private root could not be made"
            time.sleep(0.02)
        (child,) = (
            Path(f"/proc/{self._holder.pid}/task/{self._holder.pid}/children").read_text().split()
        )
        self._inside = [
            "nsenter",
            "--target",
            child,
            "--mount",
            "--pid",
            "--net",
            "chroot",
            str(self._root),
        ]
        self.set("password", "first")

    def set(self, name: str, value: str) -> None:
        """A file that the stand-ins read, such as `password` or `fail-mirror`."""
        (self.state / name).write_text(value)

    @property
    def calls(self) -> list[str]:
        """What was called of AWS, apt and systemd, in order."""
        file = self.state / "calls"
        return file.read_text().splitlines() if file.exists() else []

    @property
    def published(self) -> dict[str, str]:
        """What the instance left in the bucket for the functions."""
        found: dict[str, str] = json.loads((self.state / "database.json").read_text())
        return found

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run it inside. Its daemons go on after it."""
        log = self.state / "output"
        with log.open("w") as output:
            done = subprocess.run(
                [*self._inside, "env", "-i", f"PATH={PATH}", "HOME=/root", *command],
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, check=False,
                timeout=180,
            )  # fmt: skip
        text = log.read_text(errors="replace")
        assert not check or done.returncode == 0, text[-3000:]
        return subprocess.CompletedProcess(command, done.returncode, text, "")

    def boot(self, *, check: bool = True) -> subprocess.CompletedProcess[str]:
        """What cloud-init does on an instance's first boot."""
        text = script({**VALUES, "POSTGRES": self.version})
        (self.state / "user-data").write_text(text)
        return self.run("bash", "/stub/user-data", check=check)

    def reboot(self) -> None:
        """Everything ends at once; then what systemd starts by itself."""
        self.run("bash", "-c", "kill -9 -1", check=False)
        self.run(
            "bash",
            "-c",
            "rm -rf /stub/mounted /run/postgresql/.s* /tmp/.s*;"
            "/usr/bin/umount -l /var/lib/postgresql; mount -a",
        )
        self.run("systemctl", "restart", f"postgresql@{self.version}-main")
        self.run("systemctl", "restart", "pgbouncer")

    def sql(self, statement: str, *, password: str = "first", options: str = "") -> str:
        """Through pgBouncer, as a function does: TLS, the certificate verified."""
        where = (
            f"host={NAME} hostaddr=127.0.0.1 port=6432 dbname=pulseboard user=pulseboard "
            f"password={password} sslmode=verify-full sslrootcert=/stub/ca.crt {options}"
        )
        (self.state / "ca.crt").write_text(self.published["ca"])
        return self.run("psql", where, "-XAtqc", statement).stdout.strip()

    def terminate(self) -> None:
        """The instance and its root disk are gone; the volume stays as it was at that moment."""
        self._holder.kill()
        self._holder.wait()
