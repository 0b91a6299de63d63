"""Lambda's Runtime API for one instance of a function, and the function under Amazon's own client.

`awslambdaric` is what runs Python on Lambda: it imports the handler, then polls this server for
events over HTTP and posts what the handler returns.
https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

import json
import os
import queue
import signal
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parents[2]
PACKAGES = ("awslambdaric", "runtime_client", "snapshot_restore_py", "simplejson", "boto3",
            "botocore", "s3transfer", "jmespath", "dateutil", "six", "urllib3")  # fmt: skip
"""What Lambda's Python runtime brings along; layers need not."""
_VERSION = "/2018-06-01/runtime"
_ARN = "arn:aws:lambda:eu-central-1:123456789012:function:"


class FunctionError(Exception):
    """The function failed; the message is what it reported."""


class RuntimeInstance:
    """A function that was started. `invoke` waits until it has initialised."""

    def __init__(self, name: str, process: "subprocess.Popen[bytes]", api: "_Api") -> None:
        self.name = name
        self._process = process
        self._api = api

    def wait(self, timeout: float = 30.0) -> float:
        """Seconds from the start of the process until it requested its first event.

        Raises FunctionError when it could not initialise.
        """
        deadline = time.monotonic() + timeout
        while not self._api.requested.wait(0.01):
            if self._api.init_error is not None:
                raise FunctionError(self._api.init_error)
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise FunctionError(f"{self.name} did not initialise: {self._process.poll()}")
        return self._api.requested_at - self._api.began

    def cpu_seconds(self) -> float:
        """What the process has worked so far, by the operating system's count."""
        times = psutil.Process(self._process.pid).cpu_times()
        return float(times.user + times.system)

    def send(self, event: Any) -> None:
        """Give it an event, and don't wait for what it returns."""
        self.wait()
        self._api.events.put(event)

    def freeze(self) -> None:
        """Stop it as Lambda does between two events: nothing of it runs, its connections stay."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it as Lambda does at a timeout."""
        self._process.kill()
        self._process.wait()

    @property
    def restores(self) -> int:
        """How often it came back from a snapshot."""
        return self._api.restores

    def invoke(self, event: Any, timeout: float = 60.0) -> Any:
        """What the handler returns. Raises FunctionError for what it raises."""
        self.wait()
        self._api.events.put(event)
        try:
            ok, body = self._api.results.get(timeout=timeout)
        except queue.Empty:
            raise FunctionError(f"{self.name} did not return in {timeout:.0f} s") from None
        if not ok:
            raise FunctionError(body)
        return json.loads(body) if body else None


class _Api(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, name: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.function = name
        self.events: queue.Queue[Any] = queue.Queue()
        self.results: queue.Queue[tuple[bool, str]] = queue.Queue()
        self.requested = threading.Event()
        self.began = self.requested_at = 0.0
        self.init_error: str | None = None
        self.restores = 0

    def handle_error(self, request: object, client_address: object) -> None:
        """Log nothing: a function that is ended leaves its request for an event pending."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    """Headers and body leave together, as in `edge`."""
    server: _Api

    def do_GET(self) -> None:
        if self.path == f"{_VERSION}/restore/next":
            self.server.restores += 1
            self._respond(200)
            return
        if not self.server.requested.is_set():
            self.server.requested_at = time.perf_counter()
            self.server.requested.set()
        event = self.server.events.get()
        self._respond(
            200,
            json.dumps(event).encode(),
            {
                "Lambda-Runtime-Aws-Request-Id": str(uuid.uuid4()),
                "Lambda-Runtime-Deadline-Ms": str(round((time.time() + 60) * 1000)),
                "Lambda-Runtime-Invoked-Function-Arn": _ARN + self.server.function,
                "Content-Type": "application/json",
            },
        )

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        if self.path == f"{_VERSION}/init/error":
            self.server.init_error = body
        elif self.path.startswith(f"{_VERSION}/invocation/"):
            self.server.results.put((self.path.endswith("/response"), body))
        self._respond(202)

    def _respond(self, status: int, body: bytes = b"", headers: Mapping[str, str] = {}) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: standard output belongs to the function."""


@contextmanager
def running(
    name: str,
    *,
    path: Sequence[Path] = (),
    environment: Mapping[str, str] | None = None,
    snap_start: bool = False,
    task: Path = ROOT,
    alone: bool = False,
    python: str = sys.executable,
) -> Iterator[RuntimeInstance]:
    """A function under Amazon's client, its code in `task` and its layers on `path`.

    It gets this process's `PATH` and the `environment`, and nothing else; it ends with the block.
    When `alone`, it can import only those packages of this environment that Lambda has too.
    `python` is an interpreter of this one's version.
    """
    with _Api(name) as api, tempfile.TemporaryDirectory(prefix="pulseboard-runtime-") as scratch:
        if alone:
            _link_packages(Path(scratch))
            path = [*path, Path(scratch)]
        threading.Thread(target=api.serve_forever, daemon=True).start()
        given = {
            "PATH": os.environ.get("PATH", ""),
            "PYTHONPATH": os.pathsep.join(str(folder) for folder in (*path, task)),
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{api.server_port}",
            "AWS_LAMBDA_FUNCTION_NAME": name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024",
            "AWS_LAMBDA_LOG_FORMAT": "JSON",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start" if snap_start else "on-demand",
            "AWS_REGION": "eu-central-1",
            "LAMBDA_TASK_ROOT": str(task),
            "POWERTOOLS_SERVICE_NAME": name,
            **(environment or {}),
        }
        api.began = time.perf_counter()
        process = subprocess.Popen(
            [
                python,
                *(["-S"] if alone else []),
                "-m",
                "awslambdaric",
                f"functions.{name}.handler.handler",
            ],
            cwd=task,
            env=given,
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr.fileno(),
        )
        try:
            yield RuntimeInstance(name, process, api)
        finally:
            process.kill()
            process.wait()
            api.shutdown()


def _link_packages(folder: Path) -> None:
    for site in map(Path, {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}):
        for package in PACKAGES:
            # A package, a module, or a compiled one with its platform in its name.
            for found in (*site.glob(package), *site.glob(f"{package}.*")):
                (folder / found.name).symlink_to(found)
