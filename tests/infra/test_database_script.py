"""The database instance's first boot, on Debian's PostgreSQL and pgBouncer in a private root."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.constructs.timescaledb import script
from tests.support import instance
from tests.support.instance import VALUES, Instance

pytestmark = [pytest.mark.infra, pytest.mark.timeout(400)]

USER_DATA_BYTES = 16_384
"""What EC2 accepts."""


@pytest.fixture(scope="module")
def machine() -> None:
    """Skips where it can't run, with the reason."""
    if reason := instance.missing():
        pytest.skip(reason)


@pytest.fixture(scope="module")
def first(machine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """An instance after its first boot on an empty volume, with a mirror that was away at first
    and a volume that came late."""
    folder = tmp_path_factory.mktemp("first")
    made = Instance(folder, folder / "volume")
    for name in ("mirror", "volume", "device", "bucket"):
        made.set(f"fail-{name}", "2")
    try:
        made.boot()
        made.sql("create table kept (value text); insert into kept values ('of the first')")
        yield made
    finally:
        made.terminate()


def test_the_first_boot_waits_for_mirror_and_volume_and_serves_over_tls(first: Instance) -> None:
    assert first.sql("select value from kept") == "of the first"
    # Refused before the mirror came back, held by another instance, attached but not visible yet.
    assert sum(call.startswith("apt-get update") for call in first.calls) >= 3
    assert sum(call.startswith("aws ec2 attach-volume") for call in first.calls) == 5
    record = json.loads((first.state / "dns").read_text())["Changes"][0]["ResourceRecordSet"]
    assert (record["Name"], record["ResourceRecords"]) == (
        instance.NAME, [{"Value": "10.42.0.42"}],
    )  # fmt: skip
    assert first.calls[-1].startswith("aws route53"), "the name leads there last"


def test_postgresql_reads_our_settings_whatever_the_tuner_wrote(first: Instance) -> None:
    assert first.sql("show jit") == "off"
    assert first.sql("show max_connections") == "60"
    assert first.sql("show data_checksums") == "on"
    assert first.sql("select pg_encoding_to_char(encoding) from pg_database"
                     " where datname = 'pulseboard'") == "UTF8"  # fmt: skip


def test_every_step_can_run_again(first: Instance) -> None:
    attached = sum(call.startswith("aws ec2 attach-volume") for call in first.calls)
    first.boot()
    assert sum(call.startswith("aws ec2 attach-volume") for call in first.calls) == attached
    assert first.sql("select value from kept") == "of the first"


def test_a_reboot_comes_back_by_itself(first: Instance) -> None:
    first.reboot()
    assert first.sql("select value from kept") == "of the first"


def test_functions_find_password_and_certificate_in_the_bucket(first: Instance) -> None:
    """By which psql here verifies the server: `sql` connects with verify-full and this `ca`."""
    assert first.published["password"] == "first"
    assert first.published["ca"] == (first.volume / "tls" / "server.crt").read_text()
    assert "PRIVATE" not in json.dumps(first.published)
    uploads = [call for call in first.calls if call.startswith("aws s3 cp")]
    first.run("/usr/local/bin/pulseboard-password")
    assert [call for call in first.calls if call.startswith("aws s3 cp")] == uploads, "unchanged"


def test_a_password_that_was_rotated_works_without_a_restart(first: Instance) -> None:
    first.set("password", "second")
    first.run("/usr/local/bin/pulseboard-password")
    assert first.published["password"] == "second"
    assert first.sql("select 1", password="second") == "1"
    first.set("password", "first")
    first.run("/usr/local/bin/pulseboard-password")


def test_other_versions_go_back_when_background_jobs_do_not_run(first: Instance) -> None:
    wanted = "timescaledb-2-postgresql-17=2.28.4*"
    packages = first.volume / "packages"
    before = sorted(path.name for path in packages.glob("*.deb"))
    assert any("2.28.3" in name for name in before)
    first.set("jobs-fail", "")
    done = first.run("/usr/local/bin/pulseboard-update", wanted, check=False)
    assert done.returncode == 1
    assert "runs no background jobs" in done.stdout
    assert "going back" in done.stdout
    assert sorted(path.name for path in packages.glob("*.deb")) == before
    assert (
        first.sql("select extversion from pg_extension where extname = 'timescaledb'") == "2.28.3"
    )
    (first.state / "jobs-fail").unlink()
    first.run("/usr/local/bin/pulseboard-update", wanted)
    assert (
        first.sql("select extversion from pg_extension where extname = 'timescaledb'") == "2.28.4"
    )
    assert first.sql("select value from kept") == "of the first"


def test_an_instance_that_takes_over_finds_data_certificate_and_versions(
    first: Instance, tmp_path: Path
) -> None:
    """What Debian keeps in /etc went with the disk of the instance before."""
    first.sql("select pg_sleep(0)")
    certificate = (first.volume / "tls" / "server.crt").read_bytes()
    first.terminate()
    second = Instance(tmp_path, first.volume)
    try:
        second.set("password", "first")
        second.set("fail-mirror", "0")
        second.boot()
        assert second.sql("select value from kept") == "of the first"
        assert second.sql("show jit") == "off"
        assert (first.volume / "tls" / "server.crt").read_bytes() == certificate
        installed = [call for call in second.calls if "/var/lib/postgresql/packages/" in call]
        assert installed, "the versions that wrote the data, from the volume"
        assert not any("repository" in call for call in second.calls)
        assert "mkfs" not in " ".join(second.calls)
        second.reboot()
        assert second.sql("select value from kept") == "of the first"
    finally:
        second.terminate()


def test_a_boot_that_was_cut_short_is_finished_by_the_next(machine: None, tmp_path: Path) -> None:
    cut = Instance(tmp_path / "a", tmp_path / "volume")
    text = script({**VALUES, "POSTGRES": cut.version})
    # Ends in the middle of making the cluster's configuration.
    (cut.state / "user-data").write_text(text.replace("pg_conftool $PG main set", "exit 9; :"))
    assert cut.run("bash", "/stub/user-data", check=False).returncode == 9
    cut.boot()
    assert cut.sql("show data_directory") == f"/var/lib/postgresql/{cut.version}/main"
    cut.terminate()


def test_jobs_that_do_not_run_end_the_boot_with_the_reason(machine: None, tmp_path: Path) -> None:
    broken = Instance(tmp_path / "a", tmp_path / "volume")
    broken.set("jobs-fail", "")
    done = broken.boot(check=False)
    assert done.returncode == 1
    assert "TimescaleDB runs no background jobs" in done.stdout
    # It serves all the same: the alarm policy-late tells.
    assert (broken.state / "dns").exists()
    broken.terminate()


def test_it_fits_into_user_data_and_names_all_its_values() -> None:
    assert len(script(VALUES).encode()) < USER_DATA_BYTES - 1_000
    with pytest.raises(ValueError, match="@SECRET@"):
        script({name: value for name, value in VALUES.items() if name != "SECRET"})


def test_pgbouncer_notices_within_two_minutes_that_a_function_is_gone() -> None:
    """Lambda ends environments without closing their connections, of which there are few."""
    text = script(VALUES)
    found = {key: int(value) for key, value in re.findall(r"^(tcp_keep\w+) = (\d+)$", text, re.M)}
    assert found["tcp_keepalive"] == 1
    assert found["tcp_keepidle"] + found["tcp_keepintvl"] * found["tcp_keepcnt"] <= 120
