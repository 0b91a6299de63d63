"""`notify`: deadlines of one notification and of a batch, whatever its receivers do."""

import datetime
import gzip
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from functions.notify import handler as notify
from functions.notify import http
from pulseboard.alerts.notifications import Outgoing, SendResult
from pulseboard.core.settings import settings
from tests.support.receiver import receiving


def claim(url: str, number: int = 1) -> Outgoing:
    return Outgoing(id=str(number), kind="http", idempotency_key="k", url=url, body="{}")


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "pair.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


def serve(context: ssl.SSLContext | None, handshake: bool) -> Iterator[int]:
    """The port of a server that sends a byte every 50 ms, and never ends its response."""
    listener = socket.create_server(("127.0.0.1", 0))
    stop = threading.Event()

    def dribble(taken: socket.socket) -> None:
        channel = taken
        try:
            if context:
                channel = context.wrap_socket(taken, server_side=True)
            channel.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            while not stop.wait(0.05):
                channel.sendall(b"x")
        except OSError:
            pass
        finally:
            channel.close()

    open_ones: list[socket.socket] = []

    def accept() -> None:
        while not stop.is_set():
            try:
                taken, _ = listener.accept()
            except OSError:
                return
            if not handshake:
                open_ones.append(taken)
            else:
                threading.Thread(target=dribble, args=(taken,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield listener.getsockname()[1]
    stop.set()
    listener.close()
    for one in open_ones:
        one.close()


@pytest.fixture
def dribbling(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    trusting = ssl.create_default_context(cafile=str(certificate))
    monkeypatch.setattr(http, "tls_context", lambda: trusting)
    for port in serve(context, True):
        yield f"https://localhost:{port}/"


@pytest.fixture
def silent() -> Iterator[str]:
    for port in serve(None, False):
        yield f"https://localhost:{port}/"


@pytest.mark.parametrize("which", ["dribbling", "silent"])
def test_an_https_receiver_has_a_deadline(which: str, request: pytest.FixtureRequest) -> None:
    url = request.getfixturevalue(which)
    done = http.send(claim(url), timeout=0.4, allow_private=True)
    assert (done.ok, done.permanent) == (False, False)
    assert "no response within" in str(done.error)


def test_a_look_up_has_a_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()

    def look_up(*args: Any, **more: Any) -> list[Any]:
        released.wait(30)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    done = http.send(claim("https://slow.example/"), timeout=0.2, allow_private=True)
    released.set()
    assert "no response within" in str(done.error)


def test_one_that_hangs_takes_nothing_from_the_others(
    silent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seventeen rules use a receiver that hangs: what others took is acknowledged."""
    monkeypatch.setenv("PULSEBOARD_ALERT_ALLOW_PRIVATE", "true")
    monkeypatch.setenv("PULSEBOARD_ALERT_NOTIFY_DEADLINE", "1.5")
    settings.cache_clear()
    with receiving() as (url, received):
        claims = [claim(silent, number) for number in range(17)]
        claims += [claim(url, 100 + number) for number in range(5)]
        began = time.monotonic()
        event = {"claims": [one.model_dump(by_alias=True) for one in claims]}
        response = notify.handler(event, None)
        took = time.monotonic() - began
    settings.cache_clear()
    results = {one["id"]: one for one in response["results"]}
    assert len(results) == 22
    assert all(results[str(100 + number)]["ok"] for number in range(5))
    assert not any(results[str(number)]["ok"] for number in range(17))
    # Each says that it is the receiver that took the time, those behind the first ones too.
    assert all(results[str(number)]["error"].startswith("timeout: ") for number in range(17))
    assert "no response within" in results["0"]["error"]
    assert len(received) == 5
    # Well below the loop's own limit, at which all results are lost.
    assert took < 8


def test_one_that_hangs_takes_nothing_from_others_at_its_host(
    silent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Receivers differ by their paths; those that have failed before come last, and what there is
    no time for was not sent, which is no failure."""
    monkeypatch.setenv("PULSEBOARD_ALERT_ALLOW_PRIVATE", "true")
    monkeypatch.setenv("PULSEBOARD_ALERT_NOTIFY_DEADLINE", "1.5")
    settings.cache_clear()
    asked: list[str] = []

    real = http.send

    def send(claim: Outgoing, *, timeout: float, allow_private: bool) -> SendResult:
        if "/hangs" in claim.url:
            asked.append(claim.id)
            claim = claim.model_copy(update={"url": silent})
        return real(claim, timeout=timeout, allow_private=allow_private)

    monkeypatch.setattr(http, "send", send)
    with receiving() as (url, received):
        host = url.removesuffix("/alerts")
        # Twenty addresses that hang and have failed before, one that is new with seventeen rules.
        claims = [
            claim(f"{host}/hangs/{number}", number).model_copy(update={"failures": 3})
            for number in range(20)
        ]
        claims += [claim(f"{host}/hangs/new", 20 + number) for number in range(17)]
        claims += [claim(f"{host}/{number}", 100 + number) for number in range(30)]
        event = {"claims": [one.model_dump(by_alias=True) for one in claims]}
        response = notify.handler(event, None)
    settings.cache_clear()
    results = {one["id"]: SendResult.model_validate(one) for one in response["results"]}
    assert len(results) == len(claims)
    assert all(results[str(100 + number)].ok for number in range(30))
    assert len(received) == 30
    for number in range(37):
        result = results[str(number)]
        assert (result.ok, result.sent) == (False, str(number) in asked), number
    assert sum(results[str(20 + number)].sent for number in range(17)) == 2


class _Refusing(BaseHTTPRequestHandler):
    body = b""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(502)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.mark.parametrize(
    "body",
    [gzip.compress(b"<html>502 Bad Gateway</html>"), b"a\0b", b"\xed\xa0\x80", bytes(range(256))],
    ids=["gzip", "NUL", "surrogate", "every byte"],
)
def test_what_a_receiver_answers_can_be_stored(body: bytes) -> None:
    receiver = type("Receiver", (_Refusing,), {"body": body})
    server = ThreadingHTTPServer(("127.0.0.1", 0), receiver)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/"
        done = http.send(claim(url), timeout=10, allow_private=True)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert str(done.error).startswith("HTTP 502: ")
    assert not re.search("[\\x00-\\x08\ud800-\udfff]", str(done.error))


@pytest.mark.parametrize("text", ["a\0b", "\ud800", "\x1b[2J"])
def test_errors_of_whatever_sends_can_be_stored(text: str) -> None:
    """Of mail too: what its service says goes into the same result."""
    for done in (
        SendResult(id="1", ok=False, error=text),
        SendResult.model_validate({"id": "1", "ok": False, "error": text}),
    ):
        assert "\ufffd" in str(done.error)
        assert "\0" not in done.model_dump_json()


def test_what_is_no_longer_claimed_is_not_sent() -> None:
    with receiving() as (url, received):
        late = claim(url).model_copy(update={"not_after": time.time() - 1})
        response = notify.handler({"claims": [late.model_dump(by_alias=True)]}, None)
    assert not response["results"][0]["ok"]
    assert received == []


@pytest.mark.parametrize(
    "damaged",
    [
        {"id": "1", "kind": "pigeon", "idempotencyKey": "k"},
        {"id": "1", "kind": "http", "idempotencyKey": "k", "url": "http://[::1", "body": "{}"},
        {"id": "1"},
    ],
)
def test_a_claim_that_can_not_be_read_takes_nothing_from_the_others(
    damaged: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULSEBOARD_ALERT_ALLOW_PRIVATE", "true")
    settings.cache_clear()
    with receiving() as (url, received):
        fine = claim(url, 2).model_dump(by_alias=True)
        response = notify.handler({"claims": [damaged, fine]}, None)
    settings.cache_clear()
    results = {one["id"]: one for one in response["results"]}
    assert results["2"]["ok"]
    assert not results["1"]["ok"]
    assert results["1"]["error"]
    assert len(received) == 1
