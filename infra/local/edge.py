"""What CloudFront does on AWS, for an emulator that has none: one origin before the SPA's bucket
and the API.

    python -m infra.local.edge --port 8081 --site http://…/bucket --api http://…/live
"""

import argparse
import http.client
from contextlib import suppress
from fnmatch import fnmatch
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import SplitResult, urlsplit

from infra.local.__main__ import interruptible
from infra.routes import API_PATHS
from pulseboard.web.headers import SPA_HEADERS

_OF_ONE_HOP = frozenset(
    {"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"}
)


class Edge(ThreadingHTTPServer):
    """Serves on the loopback address. `site` is the bucket, `api` a stage of API Gateway."""

    daemon_threads = True

    def __init__(self, port: int, *, site: str, api: str) -> None:
        super().__init__(("127.0.0.1", port), _Request)
        self.site = urlsplit(site)
        self.api = urlsplit(api)


class _Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    """Headers and body leave together: apart, the second waits 40 ms for the first's receipt."""
    server: Edge

    def _serve(self) -> None:
        path = self.path.partition("?")[0]
        length = self.headers.get("Content-Length") or "0"
        if not (path.isascii() and path.isprintable() and length.isdecimal()):
            self.send_error(400, "the path or the length is no text of HTTP")
            return
        body = self.rfile.read(int(length))
        if any(fnmatch(path, pattern) for pattern in API_PATHS):
            self._forward(self.server.api, self.path, body)
            return
        # As the distribution's function does: a path without a dot is a page of the SPA.
        page = path if "." in path.rpartition("/")[2] else "/index.html"
        self._forward(self.server.site, page, b"", SPA_HEADERS)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 - its names

    def _forward(
        self, origin: SplitResult, path: str, body: bytes, extra: dict[str, str] | None = None
    ) -> None:
        connection = http.client.HTTPConnection(
            origin.hostname or "127.0.0.1", origin.port, timeout=180
        )
        try:
            headers = {
                name: value
                for name, value in self.headers.items()
                if name.lower() not in _OF_ONE_HOP | {"host", "accept-encoding"}
            }
            headers["x-forwarded-host"] = self.headers.get("Host", "")
            connection.request(self.command, origin.path + path, body or None, headers)
            response = connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException):
            self.send_error(502, "the emulator does not respond")
            return
        finally:
            connection.close()
        self.send_response(response.status)
        for name, value in response.getheaders():
            if name.lower() not in _OF_ONE_HOP:
                self.send_header(name, value)
        for name, value in (extra or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: the functions log their requests."""


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m infra.local.edge")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--site", required=True)
    parser.add_argument("--api", required=True)
    options = parser.parse_args()
    interruptible()
    edge = Edge(options.port, site=options.site, api=options.api)
    with edge, suppress(KeyboardInterrupt):
        edge.serve_forever()


if __name__ == "__main__":
    main()
