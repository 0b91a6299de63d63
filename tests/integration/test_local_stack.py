"""The whole local stack as `make up` starts it."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest

from infra.local import parts, services
from tests.support.server import wait_until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]
ROOT = Path(__file__).parents[2]


@contextmanager
def _started(data: Path, ports: dict[str, int]) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    environment = {k: v for k, v in os.environ.items() if k not in ("DATABASE_URL", "REDIS_URL")}
    environment |= {name: str(port) for name, port in ports.items()}
    output = data.with_suffix(".out")
    with output.open("wb") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "infra.local", "--data", str(data)],
            cwd=ROOT,
            env=environment,
            stdout=sink,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + 60
        while "Pulseboard is up" not in output.read_text():
            assert process.poll() is None, output.read_text()
            assert time.monotonic() < deadline, output.read_text()
            time.sleep(0.1)
        yield process, output
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


@contextmanager
def _running(data: Path, ports: dict[str, int]) -> Iterator[dict[str, str]]:
    with _started(data, ports) as (process, output):
        children = psutil.Process(process.pid).children(recursive=True)
        yield json.loads((data / "state.json").read_text())
    assert process.returncode == 0, output.read_text()
    assert len(children) >= 5
    assert not [child for child in children if child.is_running()]
    for port in ports.values():
        assert services.port_is_free(port)


@contextmanager
def _signed_in(known: dict[str, str]) -> Iterator[httpx.Client]:
    login = {"email": known["email"], "password": known["password"]}
    with httpx.Client(base_url=known["url"] + "/api/v1", trust_env=False) as http:
        http.post("/auth/login", json=login).raise_for_status()
        yield http


def test_it_starts_measures_this_machine_stops_cleanly_and_keeps_its_data(tmp_path: Path) -> None:
    ports = {
        "PORT": services.free_port(),
        "DB_PORT": services.free_port(),
        "REDIS_PORT": services.free_port(highest=services.HIGHEST_REDIS_PORT),
    }
    data = tmp_path / "local"
    with _running(data, ports) as known:
        assert (data / "state.json").stat().st_mode & 0o777 == 0o600
        with _signed_in(known) as http:
            names = [d["name"] for d in http.get("/dashboards").json()["data"]]
            assert names[0] == "This machine"
            assert "Fleet of hosts" in names
            deadline = time.monotonic() + 30
            while not http.get("/metrics", params={"prefix": "cpu_"}).json()["data"]:
                assert time.monotonic() < deadline
                time.sleep(0.3)
            _curl_of_the_readme(known)
            assert http.get("/metrics", params={"prefix": "orders_total"}).json()["data"]
    with _running(data, ports) as again:
        assert again["api_key"] == known["api_key"]
        with _signed_in(again) as http:
            assert len(http.get("/dashboards").json()["data"]) == len(names)
            assert http.get("/metrics", params={"prefix": "cpu_"}).json()["data"]


def _curl_of_the_readme(known: dict[str, str]) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"```sh\n(curl .*?)```", readme, flags=re.DOTALL)
    done = subprocess.run(
        ["bash", "-c", command.replace("http://localhost:8080", known["url"])],
        env={**os.environ, "KEY": known["api_key"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert '"accepted":1' in done.stdout.replace(" ", ""), done.stdout + done.stderr


def test_a_part_that_dies_comes_back_and_a_killed_stack_leaves_nothing(tmp_path: Path) -> None:
    data = tmp_path / "local"
    ports = {
        "PORT": services.free_port(),
        "DB_PORT": services.free_port(),
        "REDIS_PORT": services.free_port(highest=services.HIGHEST_REDIS_PORT),
    }
    with _started(data, ports) as (process, _):
        parts = {_part(child): child for child in psutil.Process(process.pid).children()}
        parts["uvicorn"].kill()
        url = f"http://127.0.0.1:{ports['PORT']}/api/v1/health"
        deadline = time.monotonic() + 30
        while not _is_up(url):
            assert time.monotonic() < deadline, "the application did not come back"
            time.sleep(0.2)
        children = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        _, alive = psutil.wait_procs(children, timeout=20)
        assert not alive


def _responds(probe: parts.Probe | None) -> bool:
    assert probe is not None
    with contextlib.suppress(OSError, psycopg.Error):
        return probe.responds()
    return False


@pytest.mark.parametrize("name", ["timescaledb.mjs", "agent"])
def test_a_part_that_is_stopped_is_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(parts, "DATABASE_PATIENCE", 6.0)
    monkeypatch.setattr(parts, "AGENT_PATIENCE", 6.0)
    monkeypatch.setattr(parts, "AGENT_INTERVAL", 1)
    supervised = parts.Parts(tmp_path)
    port = services.free_port()
    if name == "agent":
        # Nobody is there to take what it sends; it measures all the same.
        supervised.start_agent(url=f"http://127.0.0.1:{port}", key="pb_none")
    else:
        supervised.start_data(database_port=port, redis_port=None)
    [each] = supervised._supervised
    assert each.child.process is not None
    first = each.child.process.pid
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(0.2):
            supervised._check(each, time.monotonic())

    # The part ends with the thread that starts it again.
    thread = threading.Thread(target=watch)
    thread.start()
    try:
        # Before that, it is left alone.
        wait_until(lambda: _responds(each.probe))
        assert each.child.process.pid == first
        os.kill(first, signal.SIGSTOP)
        wait_until(lambda: each.child.process is not None and each.child.process.pid != first)
        wait_until(lambda: _responds(each.probe))
    finally:
        supervised.stop()
        stop.set()
        thread.join()


def test_what_is_sent_while_the_database_is_killed_arrives(tmp_path: Path) -> None:
    data = tmp_path / "local"
    ports = {
        "PORT": services.free_port(),
        "DB_PORT": services.free_port(),
        "REDIS_PORT": services.free_port(highest=services.HIGHEST_REDIS_PORT),
    }
    with _running(data, ports) as known:
        headers = {"Authorization": f"Bearer {known['api_key']}"}
        with httpx.Client(base_url=known["url"], headers=headers, trust_env=False) as agent:

            def send(number: int) -> None:
                point = {"name": "sent", "value": number, "timestamp": start - number}
                agent.post("/api/v1/metrics", json=point, timeout=30).raise_for_status()

            start = int(time.time() * 1000)
            send(0)
            [server] = [
                child
                for child in psutil.process_iter(["cmdline"])
                if str(ports["DB_PORT"]) in (child.info["cmdline"] or ())
                and _part(child) == "timescaledb.mjs"
            ]
            server.kill()
            for number in range(1, 30):
                send(number)
            waiting = data / "spill" / "waiting"
            assert list(waiting.glob("*.pbspill"))
            deadline = time.monotonic() + 60
            while list(waiting.glob("*.pbspill")):
                assert time.monotonic() < deadline, "what was spilled has not been drained"
                time.sleep(0.5)
        with psycopg.connect(known["database_url"], prepare_threshold=None) as connection:
            found = connection.execute(
                """
                select count(*), count(distinct r.value) from metrics_raw r
                join metric_series s on s.id = r.series_id
                join metric_definitions d on d.id = s.metric_id where d.name = 'sent'
                """
            ).fetchone()
        assert found == (30, 30)


def _part(process: psutil.Process) -> str:
    command = " ".join(process.cmdline())
    names = ("uvicorn", "timescaledb.mjs", "valkey", "beats", "agent")
    return next((name for name in names if name in command), command)


def _is_up(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def test_a_port_in_use_is_named() -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-m", "infra.local"],
            cwd=ROOT,
            env={**os.environ, "PORT": str(port)},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert str(port) in done.stderr
    assert "PORT=" in done.stderr


def _ports() -> dict[str, int]:
    return {
        "PORT": services.free_port(),
        "DB_PORT": services.free_port(),
        "REDIS_PORT": services.free_port(highest=services.HIGHEST_REDIS_PORT),
    }


def _by_link(output: Path) -> str:
    """Sign in by the link that the last start printed; the email of who that is."""
    [(url, token)] = re.findall(r"Sign in:  (http://[^/]+)/\S*#token=(\S+)", output.read_text())
    with httpx.Client(base_url=url + "/api/v1", trust_env=False) as http:
        http.post("/auth/token", json={"token": token}).raise_for_status()
        return str(http.get("/auth/me").json()["data"]["email"])


def _refused_start(data: Path, ports: dict[str, int]) -> str:
    environment = {k: v for k, v in os.environ.items() if k not in ("DATABASE_URL", "REDIS_URL")}
    done = subprocess.run(
        [sys.executable, "-m", "infra.local", "--data", str(data)],
        cwd=ROOT,
        env=environment | {name: str(port) for name, port in ports.items()},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    return done.stderr


def test_a_lost_or_damaged_state_and_a_lost_database_have_a_way_back(tmp_path: Path) -> None:
    data, ports = tmp_path / "local", _ports()
    with _started(data, ports) as (_, output):
        assert _by_link(output) == "admin@localhost"
        # A second start on the directory says so, whatever its ports.
        assert "is running on" in _refused_start(data, _ports())
        # A spill directory that is deleted comes back. Moved away, for the stack may write into
        # it while its files are deleted one by one.
        (data / "spill").rename(tmp_path / "spill-moved-away")
        with _signed_in(json.loads((data / "state.json").read_text())) as http:
            assert http.get("/status").json()["data"]["spill"]["files"] == 0
    state = data / "state.json"
    state.write_text("{")
    refused = _refused_start(data, ports)
    assert "state.json can't be read" in refused
    assert "reset-admin" in refused
    state.unlink()
    with _started(data, ports) as (process, output):
        assert _by_link(output) == "admin@localhost"
        known = json.loads(state.read_text())
        assert known["api_key"]
        assert "reset-admin" in output.read_text()
        # Its files do not come back: that is said.
        shutil.rmtree(data / "timescaledb", ignore_errors=True)
        assert process.wait(60) == 1
        assert "were deleted while it ran" in output.read_text()
        assert "Traceback" not in output.read_text()
    with _started(data, ports) as (_, output):
        assert _by_link(output) == "admin@localhost"
        again = json.loads(state.read_text())
        assert again["api_key"] != known["api_key"]
        with _signed_in(again) as http:
            assert http.get("/dashboards").json()["data"]
