"""A TCP proxy in front of a database that cuts the connection where a test wants it cut."""

import contextlib
import socket
import threading
from typing import Self


class Proxy:
    """Passes bytes on until a pattern of the client's was seen; then drops both ends.

    `cut_after` cuts when so many bytes past the pattern have gone to the server; with
    `await_response` it first waits for the server's response and discards it: the request was
    executed, but the client does not know.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._pattern = b""
        self._more = 0
        self._await_response = False
        self._swallow = False
        self._down = False
        self._flowing = threading.Event()
        self._flowing.set()
        self._stalling = b""
        self.stalled = threading.Event()
        self.cuts = 0
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._pumps: list[threading.Thread] = []
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        # A close alone would not wake the thread that accepts.
        _close(self._listener)
        self._acceptor.join()
        self.resume()
        self.drop_all()
        for pump in self._pumps:
            pump.join()

    def cut_after(
        self, pattern: bytes, *, more_bytes: int = 0, await_response: bool = False
    ) -> None:
        """Cut each connection that sends `pattern`, until `heal`."""
        self._pattern, self._more, self._await_response = pattern, more_bytes, await_response

    def down(self) -> None:
        """Cut all and refuse new connections, until `heal`."""
        self._down = True
        self.drop_all()

    def heal(self) -> None:
        """Pass everything on again."""
        self._pattern, self._down, self._swallow = b"", False, False

    def stall(self) -> None:
        """Pass nothing on, in either direction, until `resume`; connections stay open."""
        self._flowing.clear()

    def stall_after(self, pattern: bytes) -> None:
        """Stall once a client has sent `pattern`, which is passed on; `stalled` is set then."""
        self.stalled.clear()
        self._stalling = pattern

    def resume(self) -> None:
        """Pass on what was held back, and all that follows."""
        self._flowing.set()

    def drop_all(self) -> None:
        """Cut every connection that is open."""
        with self._lock:
            connections, self._open = self._open, set()
        for end in connections:
            _close(end)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self._down:
                    _close(client)
                    continue
                try:
                    server = socket.create_connection(self._target)
                except OSError:
                    _close(client)
                    continue
                with self._lock:
                    self._open |= {client, server}
                for work in (self._to_server, self._to_client):
                    pump = threading.Thread(target=work, args=(client, server), daemon=True)
                    self._pumps.append(pump)
                    pump.start()

    def _to_server(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            seen = b""
            while data := client.recv(65_536):
                self._flowing.wait()
                window = seen + data
                position = window.find(self._pattern) if self._pattern else -1
                if position >= 0:
                    if self._await_response:
                        self._swallow = True
                        server.sendall(data)
                        threading.Event().wait(0.5)
                    else:
                        server.sendall(window[len(seen) :][: max(0, self._more)])
                    self.cuts += 1
                    break
                server.sendall(data)
                if self._stalling and self._stalling in window:
                    self._stalling = b""
                    self.stall()
                    self.stalled.set()
                seen = window[-32:]
        _close(client)
        _close(server)

    def _to_client(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(65_536):
                self._flowing.wait()
                if self._swallow:
                    continue
                client.sendall(data)
        _close(client)
        _close(server)


def _close(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
