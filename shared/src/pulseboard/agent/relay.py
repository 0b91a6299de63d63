"""The relay: gathers for the agents of a site, and sends one request each interval for all.

    agents ─▶ POST /api/v1/metrics ─▶ inbox on disk ─▶ queue on disk ─▶ Pulseboard
                                            └── each interval ──┘

An agent's batch is on disk before it is acknowledged. What can't be sent waits here; once the queue
is full the relay takes nothing more, and agents keep their batches on their own disks: nothing is
dropped on the way. A batch that is sent twice changes nothing, since its points have their times.
"""

import gzip
import json
import logging
import socket
import ssl
import threading
import time
import zlib
from dataclasses import dataclass
from hmac import compare_digest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from pulseboard.agent.queue import Queue, QueuedBatch
from pulseboard.contracts.envelope import ApiResponse
from pulseboard.contracts.errors import ApiError, ErrorCode
from pulseboard.contracts.ingest import IngestIssue, IngestResult
from pulseboard.contracts.points import MetricPoint

log = logging.getLogger("pulseboard.agent")

GATHER_SECONDS = 2.0
"""After the mark of an interval: agents measure at the mark and send at once."""
MAX_POINTS = 8_000
"""Of one request upstream; the server takes 10,000."""
MAX_BODY = 4 * 1024 * 1024
MAX_INFLATED = 16 * 1024 * 1024
"""Bytes of one request from an agent, as the server's own limits are."""
MAX_ISSUES = 100
IDLE_SECONDS = 60
"""A connection without a request is closed after this time."""
_POINT = TypeAdapter(MetricPoint)


class Refused(Exception):
    """What the relay answers instead of a success."""

    def __init__(self, status: int, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


@dataclass(frozen=True, slots=True)
class Checked:
    """The points of a body that are valid, as JSON values, and the issues of the others."""

    points: list[dict[str, Any]]
    issues: list[IngestIssue]
    rejected: int


def check(body: bytes, *, encoding: str, now_ms: int) -> Checked:
    """Read a body as the server does. One bad point must not spoil the others' request, so that
    each is checked here; a point without a time gets `now_ms`. Raises Refused.
    """
    if encoding == "gzip":
        try:
            stream = zlib.decompressobj(wbits=31)
            body = stream.decompress(body, MAX_INFLATED)
        except zlib.error as error:
            raise Refused(400, ErrorCode.VALIDATION_ERROR, f"not gzip: {error}") from error
        if stream.unconsumed_tail:
            raise Refused(413, ErrorCode.PAYLOAD_TOO_LARGE, f"more than {MAX_INFLATED} bytes")
        if not stream.eof:
            raise Refused(400, ErrorCode.VALIDATION_ERROR, "the gzip stream is cut off")
    elif encoding not in ("", "identity"):
        message = f"Content-Encoding {encoding}: gzip, or none"
        raise Refused(415, ErrorCode.UNSUPPORTED_MEDIA_TYPE, message)
    try:
        content = json.loads(body)
    except ValueError as error:
        raise Refused(400, ErrorCode.VALIDATION_ERROR, f"this is not JSON: {error}") from error
    found = content.get("points", [content]) if isinstance(content, dict) else content
    if not isinstance(found, list) or not found:
        message = 'send one point, an array, or {"points": [...]}'
        raise Refused(400, ErrorCode.VALIDATION_ERROR, message)
    points, issues, rejected = list[dict[str, Any]](), list[IngestIssue](), 0
    for index, value in enumerate(found):
        try:
            point = _POINT.validate_python(value)
        except ValidationError as error:
            rejected += 1
            problem = error.errors()[0]
            field = ".".join(str(part) for part in problem["loc"]) or "point"
            if len(issues) < MAX_ISSUES:
                message = str(problem["msg"]).removeprefix("Value error, ")
                issues.append(IngestIssue(index=index, field=field, message=message))
        else:
            stamped = point.model_dump(mode="json", by_alias=True)
            points.append({**stamped, "timestamp": stamped["timestamp"] or now_ms})
    return Checked(points=points, issues=issues, rejected=rejected)


class Relay:
    """`inbox` holds what agents sent since the last flush, `queue` what goes upstream."""

    def __init__(self, queue: Queue, *, token: str) -> None:
        """Raises QueueBusy or OSError."""
        self.queue = queue
        self.inbox = Queue(queue.directory / "inbox", max_bytes=queue.max_bytes)
        self._token = token.encode()

    def accept(self, body: bytes, *, encoding: str, authorization: str) -> IngestResult:
        """Put an agent's batch on disk. Raises Refused, and nothing of the batch is kept then."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not compare_digest(token.strip().encode(), self._token):
            message = "the relay's token is another: set PULSEBOARD_API_KEY to it on this host"
            raise Refused(401, ErrorCode.UNAUTHORIZED, message)
        checked = check(body, encoding=encoding, now_ms=int(time.time() * 1000))
        if not checked.points:
            message = f"no point is valid: {checked.issues[0].field}: {checked.issues[0].message}"
            raise Refused(400, ErrorCode.VALIDATION_ERROR, message)
        payload = json.dumps({"points": checked.points}, separators=(",", ":")).encode()
        try:
            self.put(payload)
        except OSError as error:
            raise Refused(503, ErrorCode.UNAVAILABLE, f"the relay: {error}") from error
        return IngestResult(
            accepted=len(checked.points), rejected=checked.rejected, errors=checked.issues
        )

    def put(self, payload: bytes) -> None:
        """Put a batch into the inbox. Raises OSError when the disk fails, and when there is no
        room: what was acknowledged is never dropped for what is new.
        """
        # Far more than it takes compressed, in both for a moment.
        if self.inbox.size + self.queue.size + len(payload) > self.queue.max_bytes:
            raise OSError("its queue is full, since Pulseboard was not reachable for long")
        self.inbox.put(payload)

    def flush(self) -> int:
        """Move what was gathered to the queue, as few batches; how many. Raises OSError.

        A batch leaves the inbox when it is in the queue: one that is in both is sent twice.
        """
        batches = 0
        taken, points = list[QueuedBatch](), list[Any]()
        for batch in self.inbox.all():
            added = json.loads(gzip.decompress(batch.body))["points"]
            if taken and len(points) + len(added) > MAX_POINTS:
                batches += self._pass_on(taken, points)
                taken, points = [], []
            taken.append(batch)
            points += added
        return batches + (self._pass_on(taken, points) if taken else 0)

    def _pass_on(self, taken: list[QueuedBatch], points: list[Any]) -> int:
        for start in range(0, len(points), MAX_POINTS):
            part = points[start : start + MAX_POINTS]
            self.queue.put(json.dumps({"points": part}, separators=(",", ":")).encode())
        for batch in taken:
            self.inbox.remove(batch)
        return -(-len(points) // MAX_POINTS)

    def close(self) -> None:
        """Unlock the inbox."""
        self.inbox.close()


class _Handler(BaseHTTPRequestHandler):
    server: "RelayServer"
    protocol_version = "HTTP/1.1"
    timeout = IDLE_SECONDS
    wbufsize = -1
    """Headers and body leave together: apart, the second waits 40 ms for the first's receipt."""

    def do_GET(self) -> None:
        """`/health`, for a load balancer or a person."""
        if self.path == "/health":
            self._respond(200, b'{"data":{"status":"ok"}}')
        else:
            self._refuse(Refused(404, ErrorCode.NOT_FOUND, "the relay has /api/v1/metrics only"))

    def do_POST(self) -> None:
        """A batch of an agent."""
        try:
            if self.path.partition("?")[0] != "/api/v1/metrics":
                raise Refused(404, ErrorCode.NOT_FOUND, "the relay has /api/v1/metrics only")
            length = self.headers.get("Content-Length", "")
            if not (length.isascii() and length.isdigit()):
                raise Refused(400, ErrorCode.VALIDATION_ERROR, "Content-Length is missing")
            if len(length) > 9 or int(length) > MAX_BODY:
                raise Refused(413, ErrorCode.PAYLOAD_TOO_LARGE, f"more than {MAX_BODY} bytes")
            body = self.rfile.read(int(length))
            if len(body) < int(length):
                raise Refused(400, ErrorCode.VALIDATION_ERROR, "the body was cut off")
            result = self.server.relay.accept(
                body,
                encoding=self.headers.get("Content-Encoding", "").lower(),
                authorization=self.headers.get("Authorization", ""),
            )
        except Refused as refused:
            self._refuse(refused)
        else:
            self._respond(200, ApiResponse(data=result).model_dump_json(by_alias=True).encode())

    def _refuse(self, refused: Refused) -> None:
        body = ApiError(error=str(refused), code=refused.code, request_id=None)
        # What is left of the body would be taken for the next request.
        self.close_connection = True
        self._respond(refused.status, body.model_dump_json(by_alias=True).encode())

    def _respond(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if status == 503:
            self.send_header("Retry-After", "10")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """A line for each request would fill the journal."""


class RelayServer(ThreadingHTTPServer):
    """Listens for agents; `flush` runs each interval in a thread of its own."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self,
        relay: Relay,
        listen: tuple[str, int],
        *,
        certificate: tuple[Path, Path] | None = None,
    ) -> None:
        """`certificate`: the files of the certificate and its key, for HTTPS. Raises OSError, which
        ssl.SSLError is too.
        """
        if ":" in listen[0]:
            self.address_family = socket.AF_INET6
        super().__init__(listen, _Handler)
        self.relay = relay
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            # The handshake is done by the request's own thread: a slow one holds up nobody.
            self.socket = context.wrap_socket(
                self.socket, server_side=True, do_handshake_on_connect=False
            )

    def handle_error(self, request: object, client_address: object) -> None:
        """A connection that broke is an agent's to repeat."""
        log.debug("a connection of %s broke", client_address, exc_info=True)


class Gathering:
    """Serves agents and flushes until `stop`; `wake` is called when something was passed on."""

    def __init__(self, server: RelayServer, *, interval: float, wake: Any) -> None:
        self._server, self._interval, self._wake = server, interval, wake
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=server.serve_forever, name="relay", daemon=True),
            threading.Thread(target=self._flush_forever, name="gathering", daemon=True),
        ]

    def start(self) -> None:
        """Start both."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Take no more, and pass on what was gathered."""
        self._server.shutdown()
        self._server.server_close()
        self._stop.set()
        for thread in self._threads:
            thread.join(5)

    def _flush_forever(self) -> None:
        while not self._stop.wait(self._seconds()):
            self._flush()
        self._flush()

    def _seconds(self) -> float:
        gather = min(GATHER_SECONDS, self._interval / 2)
        now = time.time() - gather
        return (now // self._interval + 1) * self._interval - now

    def _flush(self) -> None:
        try:
            if self._server.relay.flush():
                self._wake()
        except OSError as error:
            # The inbox keeps what could not be moved.
            log.error("can't pass on what was gathered: %s", error)


def address(text: str) -> tuple[str, int]:
    """`host:port` or `[::]:port`. Raises ValueError."""
    host, separator, port = text.rpartition(":")
    if not separator or not host or not port.isdecimal() or not 0 <= int(port) < 65536:
        raise ValueError(f"--relay {text}: write an address and a port, for example 0.0.0.0:9480")
    return host.strip("[]"), int(port)
