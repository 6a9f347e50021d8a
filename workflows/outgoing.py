"""One POST to an address that somebody else chose: nowhere but there, in time, and little of what comes back.

The standard library's HTTP client is handed a socket that is already connected to a checked address, so there is
nothing it could look up, redirect, retry, read from the environment or remember. `receivers` says where it may go.
"""

from __future__ import annotations

import http.client
import io
import re
import socket
import ssl
import time
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, cast

import certifi

from workflows.receivers import AddressRefused, Policy, Receiver, addresses_of, check, parse

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["AddressRefused", "Failure", "Outcome", "Policy", "check", "post"]

USER_AGENT = "PaveBilling-Webhooks/1"
LONGEST_EXCERPT_BYTES = 1024
# A name may have many addresses that swallow packets; each gets its share of the time.
_MOST_ADDRESSES = 4
_CHUNK = 16 * 1024

_HEADER_NAME = re.compile(r"[0-9A-Za-z!#$%&'*+.^_`|~-]+")
_HEADER_VALUE = re.compile(r"[ -~]*")
_OURS = {
    "accept-encoding", "connection", "content-length", "cookie", "expect", "host", "te", "trailer",
    "transfer-encoding", "upgrade", "user-agent",
}  # fmt: skip


class Failure(StrEnum):
    """Why there is no whole answer."""

    ADDRESS_REFUSED = "address_refused"
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    TLS_FAILED = "tls_failed"
    BROKEN_OFF = "broken_off"
    NOT_HTTP = "not_http"
    HEADERS_TOO_LARGE = "headers_too_large"


@dataclass(frozen=True, slots=True)
class Outcome:
    """`status` is there as soon as the answer's headers were, `error` (a Failure) when it wasn't whole. `excerpt` is
    how the body begins, in at most 1 KB of text without control characters."""

    status: int | None
    latency_ms: int
    excerpt: str
    error: str | None

    @property
    def delivered(self) -> bool:
        """A 2xx answer that broke off is none: its sender may not have finished either."""
        return self.error is None and self.status is not None and 200 <= self.status < 300


def post(url: str, body: bytes, headers: Mapping[str, str], *, policy: Policy) -> Outcome:
    """What became of it, whatever the other side does, within the policy's time.

    Redirects are answers like any other. Headers that aren't plain text, or that only the transport may set, are a
    ValueError; nothing else is raised.
    """
    _require_plain(headers)
    clock = _Clock(policy.timeout_s)
    heard = _Heard()
    failure: Failure | None = None
    try:
        _ask(parse(url, policy), body, headers, policy, clock, heard)
    except AddressRefused:
        failure = Failure.ADDRESS_REFUSED
    except TimeoutError:
        failure = Failure.TIMEOUT
    except _Unreachable:
        failure = Failure.UNREACHABLE
    except ssl.SSLError:
        failure = Failure.TLS_FAILED
    except (http.client.IncompleteRead, OSError):
        failure = Failure.BROKEN_OFF
    except _TooLarge:
        failure = Failure.HEADERS_TOO_LARGE
    except (http.client.HTTPException, ValueError):
        failure = Failure.NOT_HTTP
    return Outcome(heard.status, clock.spent_ms(), _excerpt(bytes(heard.body)), str(failure) if failure else None)


class _Unreachable(Exception):
    """None of the addresses took a connection."""


class _TooLarge(Exception):
    """The answer has more bytes than are read."""


@dataclass(slots=True)
class _Heard:
    """Of the answer, as far as it came."""

    status: int | None = None
    body: bytearray = field(default_factory=bytearray)


class _Clock:
    def __init__(self, seconds: float) -> None:
        self._began_s = time.monotonic()
        self._seconds = seconds

    def left_s(self) -> float:
        """Raises TimeoutError when there is nothing left."""
        left_s = self._began_s + self._seconds - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        return left_s

    def spent_ms(self) -> int:
        return round((time.monotonic() - self._began_s) * 1000)


def _require_plain(headers: Mapping[str, str]) -> None:
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise ValueError(f"header {name!r} is not plain text")
        if name.lower() in _OURS:
            raise ValueError(f"header {name} is not for the caller to set")


def _ask(
    receiver: Receiver, body: bytes, headers: Mapping[str, str], policy: Policy, clock: _Clock, heard: _Heard
) -> None:
    with _connected(receiver, policy, clock) as plain, _secured(plain, receiver, clock) as connected:
        _exchange(_Line(connected, clock, policy.most_bytes), receiver, body, headers, heard)


def _connected(receiver: Receiver, policy: Policy, clock: _Clock) -> socket.socket:
    """Connected to one of the host's addresses, all of which are permitted, and whose name is looked up just once."""
    addresses = addresses_of(receiver, policy, within_s=clock.left_s())[:_MOST_ADDRESSES]
    late = False
    for tried, address in enumerate(addresses):
        try:
            # A machine may have no IPv6 at all.
            connected = socket.socket(socket.AF_INET6 if address.version == 6 else socket.AF_INET)
        except OSError:
            continue
        try:
            connected.settimeout(clock.left_s() / (len(addresses) - tried))
            connected.connect((str(address), receiver.port))
            reached = ip_address(connected.getpeername()[0])
        except OSError as failure:
            connected.close()
            late = isinstance(failure, TimeoutError)
            continue
        # Between us and the wire stand rules that can lead a connection elsewhere.
        if policy.permits(reached):
            return connected
        connected.close()
        raise AddressRefused
    raise TimeoutError if late else _Unreachable


def _secured(plain: socket.socket, receiver: Receiver, clock: _Clock) -> socket.socket:
    """With a certificate for the host's name, whatever address it has. Plain http stays as it is."""
    if not receiver.is_https:
        return plain
    plain.settimeout(clock.left_s())
    try:
        return _trust().wrap_socket(plain, server_hostname=receiver.host)
    except (TimeoutError, ssl.SSLError):
        raise
    except OSError as failure:
        raise ssl.SSLError(str(failure)) from failure


@cache
def _trust() -> ssl.SSLContext:
    """The authorities that browsers trust, and those that the machine does (SSL_CERT_FILE)."""
    context = ssl.create_default_context(cafile=certifi.where())
    context.load_default_certs()
    return context


def _exchange(line: _Line, receiver: Receiver, body: bytes, headers: Mapping[str, str], heard: _Heard) -> None:
    connection = http.client.HTTPConnection(receiver.host, receiver.port)
    connection.auto_open = 0
    connection.sock = cast("Any", line)
    ours = {"Host": receiver.authority, "User-Agent": USER_AGENT, "Accept-Encoding": "identity", "Connection": "close"}
    connection.request("POST", receiver.target, body=body, headers={**headers, **ours})
    response = connection.getresponse()
    if line.is_over:
        # http.client takes headers without their end for whole.
        raise http.client.IncompleteRead(b"")
    heard.status = response.status
    try:
        while part := response.read1(_CHUNK):
            heard.body += part
    except _TooLarge:
        return
    if response.length:
        raise http.client.IncompleteRead(bytes(heard.body), response.length)


class _Line:
    """A connected socket as http.client uses one, on which everything ends with the clock."""

    def __init__(self, connected: socket.socket, clock: _Clock, most_bytes: int) -> None:
        self._connected = connected
        self._clock = clock
        self._incoming = _Incoming(connected, clock, most_bytes)

    @property
    def is_over(self) -> bool:
        """Whether more was asked for than came."""
        return self._incoming.is_over

    def sendall(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            self._connected.settimeout(self._clock.left_s())
            rest = rest[self._connected.send(rest) :]

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self._incoming)

    def close(self) -> None:
        """http.client closes before the answer is read; the socket is closed by whoever opened it."""


class _Incoming(io.RawIOBase):
    """Each wait is for what is left of the time, so that bytes one by one win nothing."""

    def __init__(self, connected: socket.socket, clock: _Clock, most_bytes: int) -> None:
        self._connected = connected
        self._clock = clock
        self._left = most_bytes
        self.is_over = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        if self._left == 0:
            raise _TooLarge
        self._connected.settimeout(self._clock.left_s())
        count = self._connected.recv_into(memoryview(buffer)[: self._left])
        self._left -= count
        self.is_over = count == 0
        return count


def _excerpt(body: bytes) -> str:
    """Receivers may answer anything; what isn't text, or would act on a page or a terminal, becomes a gap or a mark."""
    text = body[:LONGEST_EXCERPT_BYTES].decode("utf-8", errors="replace")
    shown = "".join(" " if character.isspace() else character for character in text)
    shown = "".join(character for character in shown if not unicodedata.category(character).startswith("C"))
    return shown.encode()[:LONGEST_EXCERPT_BYTES].decode("utf-8", errors="ignore").strip()
