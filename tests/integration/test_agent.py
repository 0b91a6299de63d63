"""The agent against a real HTTP server that fails, recovers and is killed."""

import gzip
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from functions.dev import api
from pulseboard.agent import host
from pulseboard.agent.cli import app
from pulseboard.agent.queue import Queue
from pulseboard.agent.run import Delivery, encode
from pulseboard.agent.sender import Sender
from pulseboard.db import database

pytestmark = pytest.mark.integration
KEY = "pb_very_secret_key"


class Server(ThreadingHTTPServer):
    """Responds with `plan` in turn (status, headers, body), then 200; records what it accepted."""

    plan: list[tuple[int, dict[str, str], dict[str, Any]]]
    accepted: list[dict[str, Any]]
    headers_seen: list[dict[str, str]]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.headers_seen.append(dict(self.headers))
        status, headers, response = (
            self.server.plan.pop(0) if self.server.plan else (200, {}, {"data": {"errors": []}})
        )
        if status < 300:
            self.server.accepted.append(json.loads(gzip.decompress(body)))
        text = json.dumps(response).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server(("127.0.0.1", 0), Handler)
    server.plan, server.accepted, server.headers_seen = [], [], []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def put(queue: Queue, number: int) -> None:
    queue.put(json.dumps({"points": [{"name": f"m{number}", "value": number}]}).encode())


def wait_for(condition: Any, seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "gave up waiting"
        time.sleep(0.05)


def test_nothing_is_lost_or_reordered_and_the_key_is_never_logged(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    server.plan = [(500, {}, {}), (503, {"Retry-After": "1"}, {}), (429, {}, {})]
    queue = Queue(tmp_path, max_bytes=1_000_000)
    for number in range(20):
        put(queue, number)
    with Sender(server.url, KEY) as sender:
        delivery = Delivery(queue, sender, first_wait=0.05)
        started = time.monotonic()
        delivery.start()
        wait_for(lambda: len(queue) == 0)
        took = time.monotonic() - started
        assert delivery.stop()
    queue.close()
    names = [batch["points"][0]["name"] for batch in server.accepted]
    assert names == [f"m{number}" for number in range(20)]
    assert took >= 1, "Retry-After was not honoured"
    assert server.headers_seen[0]["Content-Type"] == "application/octet-stream"
    assert server.headers_seen[0]["Authorization"] == f"Bearer {KEY}"
    assert "lost" in caplog.text
    assert "recovered" in caplog.text
    assert KEY not in caplog.text


def test_refusals(server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    partly = {"data": {"errors": [{"index": 0, "field": "value", "message": "too old"}]}}
    refusal = {"error": "no", "code": "VALIDATION_ERROR"}
    server.plan = [(400, {}, refusal), (200, {}, partly), (200, {}, partly), (401, {}, {})]
    queue = Queue(tmp_path, max_bytes=1_000_000)
    for number in (1, 2, 2, 3):
        put(queue, number)
    with Sender(server.url, KEY) as sender:
        delivery = Delivery(queue, sender)
        waits = [delivery.step() for _ in range(4)]
    assert waits[:3] == [0.0, 0.0, 0.0]
    assert waits[3] == 300
    assert len(queue) == 1, "a wrong key loses nothing"
    queue.close()
    assert caplog.text.count("refuses m2: too old") == 1
    assert "make a new one under API keys" in caplog.text


@pytest.mark.parametrize("status", [200, 302, 400, 404, 405, 422])
def test_what_is_not_pulseboard_loses_nothing(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    server.plan = [(status, {"Location": "/login"}, {"message": "a proxy"})]
    queue = Queue(tmp_path, max_bytes=1_000_000)
    put(queue, 1)
    with Sender(server.url, KEY) as sender:
        delivery = Delivery(queue, sender, first_wait=0.01)
        assert delivery.step()
        assert len(queue) == 1
        assert "is --url the address of Pulseboard?" in caplog.text
        server.accepted.clear()
        assert delivery.step() == 0.0
    assert len(queue) == 0
    assert len(server.accepted) == 1
    queue.close()


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (404, {"error": "There is no such page.", "code": "NOT_FOUND"}, 1),
        (404, {"detail": "Not Found"}, 1),
        (400, {"error": "no", "code": "VALIDATION_ERROR"}, 1),
        (200, {"data": {"errors": []}}, 0),
    ],
)
def test_once_says_whether_all_was_taken(
    server: Server, tmp_path: Path, status: int, body: dict[str, Any], code: int
) -> None:
    server.plan = [(status, {}, body)]
    with start(server.url, tmp_path, "--once") as process:
        process.communicate(timeout=30)
    assert process.returncode == code


def start(url: str, queue: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "pulseboard.agent.cli", "agent", "--url", url]
    return subprocess.Popen(
        [*command, "--interval", "1", "--queue-dir", str(queue), *options],
        env={**os.environ, "PULSEBOARD_API_KEY": KEY},
        stderr=subprocess.PIPE,
        text=True,
    )


def test_kill_and_restart_keeps_the_queue(server: Server, tmp_path: Path) -> None:
    away = start("http://127.0.0.1:9", tmp_path)
    wait_for(lambda: len(list(tmp_path.glob("*.json.gz"))) >= 3)
    away.kill()
    away.communicate()
    queued = len(list(tmp_path.glob("*.json.gz")))
    again = start(server.url, tmp_path)
    wait_for(lambda: len(server.accepted) > queued)
    stopping = time.monotonic()
    again.send_signal(signal.SIGTERM)
    _, log = again.communicate(timeout=10)
    assert again.returncode == 0, log
    assert time.monotonic() - stopping < 8
    stamps = [batch["points"][0]["timestamp"] for batch in server.accepted]
    assert stamps == sorted(set(stamps))
    assert not list(tmp_path.glob("*.json.gz"))
    assert KEY not in log
    assert "connected" in log


def test_once(server: Server, tmp_path: Path) -> None:
    process = start(server.url, tmp_path, "--once", "--host", "me", "--tag", "env=test")
    _, log = process.communicate(timeout=20)
    assert process.returncode == 0, log
    [batch] = server.accepted
    names = {point["name"] for point in batch["points"]}
    assert {"cpu_usage_percent", "load_1"} <= names
    assert all(p["tags"]["env"] == "test" for p in batch["points"])
    assert all(p["tags"]["host"] == "me" for p in batch["points"])


def test_the_ingest_route_accepts_what_the_agent_sends(
    ingest_key: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with TestClient(api(), base_url="http://testserver") as real:
        queue = Queue(tmp_path, max_bytes=1_000_000)
        before = host.read()
        time.sleep(0.2)
        points, _ = host.collect(before, tags={"host": "here"})
        queue.put(encode(points))
        with Sender("http://testserver", ingest_key) as sender:
            # The agent's own client, with the application behind it instead of a socket.
            real.headers = sender._client.headers
            monkeypatch.setattr(sender, "_client", real)
            delivery = Delivery(queue, sender)
            assert delivery.step() == 0.0
            assert delivery.step() is None
        queue.close()
    with database.connection() as connection:
        row = connection.execute("select count(*) from metrics_raw").fetchone()
    assert row == (len(points),)


def test_migrate_command(database_url: str) -> None:
    done = CliRunner().invoke(app, ["migrate", "--database-url", database_url])
    assert (done.exit_code, done.stdout.strip()) == (0, "the database is up to date")
    away = "postgresql://postgres@127.0.0.1:1/x"
    failed = CliRunner().invoke(app, ["migrate", "--database-url", away])
    assert failed.exit_code == 1
    assert "can't reach the database" in failed.output


def test_an_agent_relays_for_another_and_stops_with_all_on_its_way(
    server: Server, tmp_path: Path
) -> None:
    """Two processes: what the second sends to the first is upstream when the first has ended."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = "of-the-site-0123456789"
    relaying = subprocess.Popen(
        [sys.executable, "-m", "pulseboard.agent.cli", "agent", "--url", server.url, "--host",
         "relay", "--queue-dir", str(tmp_path / "relay"), "--relay", f"127.0.0.1:{port}"],
        env={**os.environ, "PULSEBOARD_API_KEY": KEY, "PULSEBOARD_RELAY_TOKEN": token},
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while True:
            sent = CliRunner().invoke(
                app,
                ["agent", "--once", "--url", f"http://127.0.0.1:{port}", "--key", token,
                 "--host", "member", "--queue-dir", str(tmp_path / "member")],
            )  # fmt: skip
            if sent.exit_code == 0:
                break
            assert time.monotonic() < deadline, sent.output
    finally:
        relaying.send_signal(signal.SIGTERM)
    assert relaying.wait(timeout=60) == 0
    hosts = [{p["tags"]["host"] for p in body["points"]} for body in server.accepted]
    assert "member" in set[str]().union(*hosts)
    assert len(Queue(tmp_path / "relay", max_bytes=1_000_000)) == 0
    assert KEY not in sent.output
    # The key of the site is the relay's alone.
    assert {seen["Authorization"] for seen in server.headers_seen} == {f"Bearer {KEY}"}
