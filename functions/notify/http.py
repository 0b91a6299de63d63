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
from urllib.parse import urlsplit

from pulseboard.alerts.notifications import Outgoing, SendResult

_TRY_AGAIN = frozenset({408, 425, 429})
_SHOWN = 200


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
    try:
        parts = urlsplit(claim.url)
        host, port = parts.hostname or "", parts.port
        secure = parts.scheme == "https"
        if parts.scheme not in ("http", "https") or not host:
            return SendResult(
                id=claim.id, ok=False, permanent=True, error="the address is no http URL"
            )
        addresses = checked_addresses(host, port or (443 if secure else 80), allow_private)
        status, body = _post(claim, addresses, host, secure, timeout)
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
    return address.is_global and not address.is_multicast


def _connect(addresses: list[tuple[str, int]], timeout: float) -> socket.socket:
    """A connection to the first address that accepts one: where IPv6 has no route, IPv4 may."""
    for address in addresses[:-1]:
        with contextlib.suppress(OSError):
            return socket.create_connection(address, timeout=timeout / len(addresses))
    return socket.create_connection(addresses[-1], timeout=timeout / len(addresses))


def _post(
    claim: Outgoing, addresses: list[tuple[str, int]], host: str, secure: bool, timeout: float
) -> tuple[int, str]:
    raw = _connect(addresses, timeout)
    raw.settimeout(timeout)
    # A receiver that sends a byte now and then would never reach the timeout of one read.
    deadline = threading.Timer(timeout, _cut, (raw,))
    deadline.daemon = True
    deadline.start()
    try:
        channel = (
            ssl.create_default_context().wrap_socket(raw, server_hostname=host) if secure else raw
        )
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
        return response.status, body
    finally:
        deadline.cancel()
        raw.close()


def _cut(raw: socket.socket) -> None:
    with contextlib.suppress(OSError):
        raw.shutdown(socket.SHUT_RDWR)


def _describe(error: Exception, timeout: float) -> str:
    if isinstance(error, TimeoutError):
        return f"no response within {timeout:g} s"
    if isinstance(error, socket.gaierror):
        return "the host is not known"
    return f"{type(error).__name__}: {error}"[:300]
