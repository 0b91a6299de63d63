"""The local edge refuses what is no HTTP; it forwards anything else."""

import socket
import threading
from collections.abc import Iterator

import pytest

from infra.local.edge import Edge


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Of an edge whose origins do not respond."""
    with Edge(0, site="http://127.0.0.1:1", api="http://127.0.0.1:1") as edge:
        thread = threading.Thread(target=edge.serve_forever, args=(0.01,))
        thread.start()
        yield edge.server_address[1]
        edge.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("line", "length", "status"),
    [
        (b"/\0", b"0", b"400"),
        (b"/api/v1/\0", b"0", b"400"),
        ("/é".encode(), b"0", b"400"),
        (b"/\x7f", b"0", b"400"),
        (b"/api/v1/health", b"-1", b"400"),
        (b"/api/v1/health", b"many", b"400"),
        (b"/" + b"a" * 70_000, b"0", b"414"),
        # Whoever is behind decides.
        (b"/%00", b"0", b"502"),
        (b"/" + b"a" * 60_000, b"0", b"502"),
        (b"/api/v1/%00?a=%00", b"0", b"502"),
    ],
)
def test_what_is_no_http_is_refused(
    port: int, capfd: pytest.CaptureFixture[str], line: bytes, length: bytes, status: bytes
) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        client.sendall(
            b"GET "
            + line
            + b" HTTP/1.1\r\nHost: x\r\nContent-Length: "
            + length
            + b"\r\nConnection: close\r\n\r\n"
        )
        response = client.makefile("rb").readline()
    assert response.split()[1] == status
    assert "Traceback" not in capfd.readouterr().err
