"""The relay on real sockets: agents' own sender before it, a server that fails behind it."""

import gzip
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from pulseboard.agent import relay
from pulseboard.agent.cli import app
from pulseboard.agent.queue import Queue
from pulseboard.agent.relay import Relay, RelayServer
from pulseboard.agent.run import Delivery
from pulseboard.agent.sender import PushOutcome, Sender

TOKEN = "of-the-site-0123456789"


class Upstream(ThreadingHTTPServer):
    """Pulseboard: takes what comes while it is `up`."""

    up = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Upstream)
        self.bodies: list[list[dict[str, Any]]] = []

    @property
    def points(self) -> list[dict[str, Any]]:
        """All that came, in order."""
        return [point for body in self.bodies for point in body]


class _Upstream(BaseHTTPRequestHandler):
    server: Upstream

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.up:
            self.server.bodies.append(json.loads(gzip.decompress(body))["points"])
        self.send_response(200 if self.server.up else 503)
        self.end_headers()
        self.wfile.write(b'{"data": {"errors": []}}')

    def log_message(self, *_: Any) -> None:
        pass


def _serve(server: ThreadingHTTPServer) -> str:
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    return f"http://127.0.0.1:{server.server_address[1]}"


class Site:
    """A relay, what is behind it, and its address."""

    def __init__(self, directory: Path, max_bytes: int = 1_000_000) -> None:
        self.upstream = Upstream()
        self.queue = Queue(directory, max_bytes=max_bytes)
        self.relay = Relay(self.queue, token=TOKEN)
        self.server = RelayServer(self.relay, ("127.0.0.1", 0))
        self.url = _serve(self.server)
        self.sender = Sender(_serve(self.upstream), "pb_upstream")
        self.delivery = Delivery(self.queue, self.sender, first_wait=0.01)

    def deliver(self) -> None:
        """Flush and send until nothing is left or it fails."""
        self.relay.flush()
        while self.delivery.step() == 0.0:
            pass

    def close(self) -> None:
        """End all of it; the directory stays."""
        for server in (self.server, self.upstream):
            server.shutdown()
            server.server_close()
        self.relay.close()
        self.queue.close()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """With a queue of a megabyte."""
    made = Site(tmp_path)
    yield made
    made.close()


def _batch(host: str, *, at: int = 1_800_000_000_000, points: int = 3) -> bytes:
    listed = [
        {"name": f"m{n}", "value": n, "tags": {"host": host}, "timestamp": at}
        for n in range(points)
    ]
    return gzip.compress(json.dumps({"points": listed}).encode())


def test_a_site_sends_one_request_for_all_its_agents(site: Site) -> None:
    for host in range(20):
        with Sender(site.url, TOKEN) as agent:
            assert agent.send(_batch(f"h{host}")).outcome is PushOutcome.SENT
    site.deliver()
    assert len(site.upstream.bodies) == 1
    assert {point["tags"]["host"] for point in site.upstream.points} == {
        f"h{host}" for host in range(20)
    }
    assert len(site.upstream.points) == 60
    site.deliver()
    assert len(site.upstream.bodies) == 1, "nothing is sent twice"


def test_more_points_than_one_request_takes_are_several(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "MAX_POINTS", 7)
    with Sender(site.url, TOKEN) as agent:
        for host in range(4):
            agent.send(_batch(f"h{host}"))
        agent.send(_batch("large", points=10))
    site.deliver()
    assert [len(body) for body in site.upstream.bodies] == [6, 6, 7, 3]
    assert len(site.upstream.points) == 22


def test_while_pulseboard_is_away_nothing_is_lost_and_a_full_relay_takes_nothing(
    tmp_path: Path,
) -> None:
    site = Site(tmp_path, max_bytes=9_000)
    try:
        site.upstream.up = False
        taken = []
        with Sender(site.url, TOKEN) as agent:
            for number in range(1000):
                result = agent.send(_batch(f"h{number}", at=1_800_000_000_000 + number))
                if result.outcome is not PushOutcome.SENT:
                    break
                taken.append(f"h{number}")
                if number % 10 == 0:
                    site.deliver()
        # The agent keeps it: a full relay says so, and when to come again.
        assert result.outcome is PushOutcome.RETRY
        assert result.retry_after == 10
        assert len(taken) > 20
        with pytest.raises(OSError, match="full"):
            site.relay.put(b"x" * 10_000)
        site.upstream.up = True
        site.deliver()
        assert {point["tags"]["host"] for point in site.upstream.points} == set(taken)
        assert len(site.upstream.points) == 3 * len(taken)
    finally:
        site.close()


def test_what_was_acknowledged_survives_a_relay_that_is_killed(tmp_path: Path) -> None:
    first = Site(tmp_path)
    with Sender(first.url, TOKEN) as agent:
        assert agent.send(_batch("a")).outcome is PushOutcome.SENT
    first.close()
    second = Site(tmp_path)
    try:
        second.deliver()
        assert len(second.upstream.points) == 3
    finally:
        second.close()


def test_a_bad_point_is_named_to_its_agent_and_spoils_nobodys_request(site: Site) -> None:
    points = [
        {"name": "good", "value": 1},
        {"name": "", "value": 1},
        {"name": "x", "value": "many"},
        "none",
    ]
    sent = httpx.post(
        f"{site.url}/api/v1/metrics",
        json=points,
        headers={"Authorization": f"Bearer {TOKEN}"},
    )
    assert sent.status_code == 200
    result = sent.json()["data"]
    assert (result["accepted"], result["rejected"]) == (1, 3)
    assert [error["index"] for error in result["errors"]] == [1, 2, 3]
    site.deliver()
    (point,) = site.upstream.points
    assert point["name"] == "good"
    assert point["timestamp"] > 1_700_000_000_000, "the time of its arrival here"


@pytest.mark.parametrize(
    ("body", "headers", "status", "text"),
    [
        (b"{}", {"Authorization": "Bearer other"}, 401, "PULSEBOARD_API_KEY"),
        (b"{}", {"Authorization": ""}, 401, "token"),
        (b"{", {}, 400, "not JSON"),
        (b"[]", {}, 400, "points"),
        (b"[1]", {}, 400, "no point is valid"),
        (_batch("a")[:-9], {"Content-Encoding": "gzip"}, 400, "cut off"),
        (b"nonsense", {"Content-Encoding": "gzip"}, 400, "not gzip"),
        (gzip.compress(bytes(17_000_000)), {"Content-Encoding": "gzip"}, 413, "more than"),
        (b"x", {"Content-Encoding": "br"}, 415, "gzip"),
        (bytes(4_200_000), {}, 413, "more than"),
    ],
    ids=lambda value: str(value)[:24] if isinstance(value, str | int) else None,
)
def test_what_makes_no_sense_is_refused_and_kept_nowhere(
    site: Site, body: bytes, headers: dict[str, str], status: int, text: str
) -> None:
    refused = httpx.post(
        f"{site.url}/api/v1/metrics",
        content=body,
        headers={"Authorization": f"Bearer {TOKEN}", **headers},
    )
    assert refused.status_code == status
    assert text in refused.json()["error"]
    assert refused.json()["code"]
    assert TOKEN not in refused.text
    assert site.relay.flush() == 0


def test_other_paths_are_not_there_and_health_is(site: Site) -> None:
    assert httpx.get(f"{site.url}/health").json() == {"data": {"status": "ok"}}
    assert httpx.get(f"{site.url}/").status_code == 404
    assert httpx.post(f"{site.url}/api/v1/write", content=b"x").status_code == 404


@pytest.mark.parametrize("text", ["9480", ":9480", "0.0.0.0:", "0.0.0.0:99999", "h:p"])
def test_an_address_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"0\.0\.0\.0:9480"):
        relay.address(text)
    assert relay.address("[::1]:80") == ("::1", 80)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--relay", "127.0.0.1:0"], "PULSEBOARD_RELAY_TOKEN"),
        (["--relay", "nowhere", "--relay-token", TOKEN], "0.0.0.0:9480"),
        (["--relay", "127.0.0.1:0", "--relay-token", TOKEN, "--relay-certificate", "c.pem"],
         "belong together"),
    ],
)  # fmt: skip
def test_a_relay_that_can_not_start_says_why(
    tmp_path: Path, arguments: list[str], text: str
) -> None:
    done = CliRunner().invoke(
        app, ["agent", "--key", "pb_x", "--queue-dir", str(tmp_path), *arguments]
    )
    assert done.exit_code == 1
    assert text in done.output
