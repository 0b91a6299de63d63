"""Sends HTTP notifications to addresses that users wrote, without becoming their proxy.

The host is resolved once, every address it has is checked, and the connection goes to a checked
address: a second lookup could give another address (DNS rebinding). Redirects are not followed, no
proxy is used, and the whole exchange has one deadline.
"""

import contextlib
import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable
from functools import cache
from typing import TypeVar
from urllib.parse import urlsplit

from pulseboard.alerts.notifications import Outgoing, SendResult

_TRY_AGAIN = frozenset({408, 425, 429})
_SHOWN = 200

T = TypeVar("T")


# Python's own tables differ between its versions: these are IANA's, in which nothing that is not
# "globally reachable" is public.
# https://www.iana.org/assignments/iana-ipv4-special-registry
# https://www.iana.org/assignments/iana-ipv6-special-registry
_SPECIAL = tuple(
    map(
        ipaddress.ip_network,
        (
            *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16"),
            *("172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16"),
            *("198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
            *("2001::/23", "2001:db8::/32", "3fff::/20"),
        ),
    )
)
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
"""All IPv6 addresses that IANA gives to networks; what lies outside is special or reserved."""
# An IPv4 address in the last 32 bits: IPv4-compatible, translated (RFC 2765), NAT64 (RFC 6052).
_HOLDS_IPV4 = tuple(map(ipaddress.IPv6Network, ("::/96", "::ffff:0:0:0/96", "64:ff9b::/96")))
# A network's own NAT64 (RFC 8215), and site-local addresses (RFC 3879).
_NEVER_PUBLIC = tuple(map(ipaddress.IPv6Network, ("64:ff9b:1::/48", "fec0::/10")))


class Refused(Exception):
    """The address may not receive notifications."""


def send(claim: Outgoing, *, timeout: float, allow_private: bool) -> SendResult:
    """POST a notification. `timeout` in seconds covers everything: lookup, connection, response.

    2xx is success; 408, 425, 429, 5xx and a broken connection are retried; the rest is not.
    """
    deadline = time.monotonic() + timeout
    try:
        parts = urlsplit(claim.url)
        host, port = parts.hostname or "", parts.port
        secure = parts.scheme == "https"
        if parts.scheme not in ("http", "https") or not host:
            return SendResult(
                id=claim.id, ok=False, permanent=True, error="the address is no http URL"
            )
        port = port or (443 if secure else 80)
        addresses = _within(deadline, lambda: checked_addresses(host, port, allow_private))
        status, body = _post(claim, addresses, host, secure, deadline)
    except Refused as error:
        return SendResult(id=claim.id, ok=False, permanent=True, error=str(error))
    except (OSError, http.client.HTTPException, ValueError) as error:
        return SendResult(id=claim.id, ok=False, error=_describe(error, timeout))
    if 200 <= status < 300:
        return SendResult(id=claim.id, ok=True)
    if 300 <= status < 400:
        return SendResult(
            id=claim.id,
            ok=False,
            permanent=True,
            error=f"HTTP {status}: redirects are not followed",
        )
    again = status >= 500 or status in _TRY_AGAIN
    text = f"HTTP {status}" + (f": {body}" if body else "")
    return SendResult(id=claim.id, ok=False, permanent=not again, error=text)


def _within(deadline: float, look_up: Callable[[], T]) -> T:
    """The result of a look-up, which has no timeout of its own. Raises TimeoutError."""
    outcome: list[T | Exception] = []

    def run() -> None:
        try:
            outcome.append(look_up())
        except Exception as error:  # noqa: BLE001 - raised again by the thread that waits
            outcome.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(max(0.0, deadline - time.monotonic()))
    if not outcome:
        raise TimeoutError("the look-up of the host took too long")
    if isinstance(outcome[0], Exception):
        raise outcome[0]
    return outcome[0]


def _left(deadline: float) -> float:
    """Seconds until then. Raises TimeoutError when there are none."""
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise TimeoutError("no time is left")
    return seconds


def checked_addresses(host: str, port: int, allow_private: bool) -> list[tuple[str, int]]:
    """The addresses of a host, all of them public. Raises Refused, OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(info[4][0]) for info in found))
    if not allow_private:
        for text in addresses:
            if not is_public(text):
                raise Refused(
                    f"{host} is at {text}, which is not a public address;"
                    " PULSEBOARD_ALERT_ALLOW_PRIVATE allows it"
                )
    return [(text, port) for text in addresses]


def is_public(text: str) -> bool:
    """Whether an IP address is public, also when it is embedded in an IPv6 address.

    Private, loopback, link-local (cloud metadata), shared, reserved and multicast ones are not,
    nor are those inside IPv4-mapped, 6to4, Teredo and NAT64 addresses.
    """
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address.teredo:
            inner = address.teredo[1]
        if any(address in network for network in _HOLDS_IPV4):
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if any(address in network for network in _NEVER_PUBLIC):
            return False
        if inner is not None:
            return is_public(str(inner))
        if address not in _GLOBAL_UNICAST:
            return False
    if any(address in network for network in _SPECIAL):
        return False
    return address.is_global and not address.is_multicast


def _connect(addresses: list[tuple[str, int]], deadline: float) -> socket.socket:
    """A connection to the first address that accepts one: where IPv6 has no route, IPv4 may."""
    for left, address in zip(range(len(addresses), 1, -1), addresses, strict=False):
        with contextlib.suppress(OSError):
            return socket.create_connection(address, timeout=_left(deadline) / left)
    return socket.create_connection(addresses[-1], timeout=_left(deadline))


@cache
def tls_context() -> ssl.SSLContext:
    """The one context of this process: reading the certificates takes longer than a request."""
    return ssl.create_default_context()


def _post(
    claim: Outgoing, addresses: list[tuple[str, int]], host: str, secure: bool, deadline: float
) -> tuple[int, str]:
    raw = _connect(addresses, deadline)
    # A receiver that sends a byte now and then would never reach the timeout of one read. The
    # duplicate ends the connection whoever holds it: TLS takes the first descriptor for its own.
    duplicate = raw.dup()
    channel = raw
    is_cut = threading.Event()
    try:
        raw.settimeout(_left(deadline))
        cut = threading.Timer(_left(deadline), _cut, (duplicate, is_cut))
        cut.daemon = True
        cut.start()
    except BaseException:
        duplicate.close()
        raw.close()
        raise
    try:
        if secure:
            channel = tls_context().wrap_socket(raw, server_hostname=host)
        connection = http.client.HTTPConnection(host)
        connection.sock = channel
        parts = urlsplit(claim.url)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        headers = {
            "User-Agent": "Pulseboard",
            "Idempotency-Key": claim.idempotency_key,
            "Connection": "close",
            "Host": parts.netloc.rpartition("@")[2],
            **claim.headers,
        }
        connection.request("POST", path, body=claim.body.encode(), headers=headers)
        response = connection.getresponse()
        body = response.read(_SHOWN).decode("utf-8", "replace").strip()
        # What is cut off ends like a whole response.
        if is_cut.is_set():
            raise TimeoutError("cut off at the deadline")
        _left(deadline)
        return response.status, body
    except (OSError, http.client.HTTPException, ValueError) as error:
        if is_cut.is_set() or time.monotonic() >= deadline:
            raise TimeoutError("cut off at the deadline") from error
        raise
    finally:
        cut.cancel()
        channel.close()
        duplicate.close()


def _cut(duplicate: socket.socket, is_cut: threading.Event) -> None:
    is_cut.set()
    with contextlib.suppress(OSError):
        duplicate.shutdown(socket.SHUT_RDWR)


def _describe(error: Exception, timeout: float) -> str:
    if isinstance(error, TimeoutError):
        return f"timeout: no response within {timeout:.3g} s"
    if isinstance(error, socket.gaierror):
        return "the host is not known"
    return f"{type(error).__name__}: {error}"[:300]
