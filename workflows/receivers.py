"""Where webhooks may go: an address that somebody typed, and may have typed to reach what only we can reach.

The address is read by one strict grammar, and connections are made to what it read: no second parser sees the text,
and what the grammar doesn't know is refused, not repaired. Names are looked up once for each connection, and every
address they have must be permitted: an owner of a name decides what it resolves to, and can decide anew each time.
"""

from __future__ import annotations

import re
import socket
from concurrent.futures import Future
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from threading import Thread
from typing import Self
from urllib.parse import urlsplit

from billing.errors import InvalidArgument
from billing.settings import Settings
from workflows.public_addresses import IPAddress, is_local, is_public

LONGEST_URL = 2048
CHECKED_WITHIN_S = 5.0

_VISIBLE_ASCII = re.compile(r"[!-~]+")
_AUTHORITY = re.compile(r"(?P<host>\[[0-9a-fA-F:.]+\]|[0-9a-zA-Z.-]+)(?::(?P<port>[0-9]{1,5}))?")
_LABEL = r"[0-9a-z](?:[0-9a-z-]{0,61}[0-9a-z])?"
# The last label begins with a letter: what ends in a number is an address to someone ("0x7f.1", "127.1").
_NAME = re.compile(rf"(?:{_LABEL}\.)*(?=[a-z]){_LABEL}")
_LONGEST_NAME = 253
# Names that never lead to the internet (RFC 6761, 6762, 7686, 8375, ICANN's .internal).
_OF_NO_NETWORK_BUT_OURS = ("localhost", "local", "internal", "home.arpa", "invalid", "onion")
_DEFAULT_PORT = {"http": 80, "https": 443}
_FIRST_UNRESERVED_PORT = 1024


class AddressRefused(InvalidArgument):
    """Webhooks can't be sent to this address."""

    reason = "address_not_public"
    default_message = "url must lead to a host on the public internet"

    def __init__(self, message: str | None = None, *, reason: str | None = None):
        super().__init__(message, reason=reason, field="url")


@dataclass(frozen=True, slots=True)
class Policy:
    """What may be reached, and at what price.

    `allow_private` adds this machine and private networks; other special addresses (link-local with clouds' metadata,
    multicast, mapped...) stay closed. `timeout_s` bounds a call from the look-up of the name to the last byte;
    `most_bytes` is how much of an answer is read, headers included.
    """

    allow_http: bool = False
    allow_private: bool = False
    timeout_s: float = 10
    most_bytes: int = 64 * 1024

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        anywhere = settings.webhook_receivers_anywhere
        return cls(allow_http=anywhere, allow_private=anywhere)

    def permits(self, address: IPAddress) -> bool:
        return is_public(address) or (self.allow_private and is_local(address))


@dataclass(frozen=True, slots=True)
class Receiver:
    """An address as read. `host` is a name in lower case or an address without brackets; `target` what is asked of it,
    path and query."""

    is_https: bool
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """What stands in the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = _DEFAULT_PORT["https" if self.is_https else "http"]
        return host if self.port == usual else f"{host}:{self.port}"


def check(url: str, policy: Policy) -> None:
    """Raises AddressRefused, within 5 s, also for a name that can't be looked up. For use when an address is saved: it
    decides nothing about later, when `addresses_of` is asked again."""
    receiver = parse(url, policy)
    try:
        addresses_of(receiver, policy, within_s=CHECKED_WITHIN_S)
    except TimeoutError:
        raise AddressRefused from None


def parse(url: str, policy: Policy) -> Receiver:
    """Raises AddressRefused. Nothing is looked up."""
    if len(url) > LONGEST_URL:
        raise AddressRefused(f"url cannot exceed {LONGEST_URL} characters", reason="url_malformed")
    if not _VISIBLE_ASCII.fullmatch(url) or "\\" in url:
        raise AddressRefused(
            "url must be ASCII: write international names as xn--, other characters percent-encoded",
            reason="url_malformed",
        )
    scheme, separator, _ = url.partition("://")
    is_https = _is_https(scheme.lower() if separator else "", policy)
    try:
        parts = urlsplit(url)
    except ValueError:
        raise _malformed() from None
    if "@" in parts.netloc:
        raise AddressRefused("url must not contain a user name or password", reason="userinfo_not_allowed")
    if "#" in url:
        raise AddressRefused("url must not contain a fragment", reason="fragment_not_allowed")
    authority = _AUTHORITY.fullmatch(parts.netloc)
    if authority is None:
        raise _malformed()
    host = _host(authority["host"].lower(), policy)
    port = _port(authority["port"], _DEFAULT_PORT["https" if is_https else "http"])
    query = f"?{parts.query}" if parts.query else ""
    return Receiver(is_https, host, port, (parts.path or "/") + query)


def _malformed() -> AddressRefused:
    return AddressRefused(
        "url must name a host: a domain name, or an address in its usual spelling", reason="url_malformed"
    )


def _is_https(scheme: str, policy: Policy) -> bool:
    if scheme == "https" or (scheme == "http" and policy.allow_http):
        return scheme == "https"
    raise AddressRefused("url must begin with https://", reason="https_required")


def _host(text: str, policy: Policy) -> str:
    address = _literal(text)
    if address is not None:
        if not policy.permits(address):
            raise AddressRefused
        return str(address)
    if len(text) > _LONGEST_NAME or not _NAME.fullmatch(text):
        raise _malformed()
    if not policy.allow_private and _is_local_name(text):
        raise AddressRefused
    return text


def _literal(text: str) -> IPAddress | None:
    """Addresses in the one spelling that everybody reads alike: four decimal numbers, or IPv6 in brackets."""
    try:
        return IPv6Address(text[1:-1]) if text.startswith("[") else IPv4Address(text)
    except ValueError:
        return None


def _is_local_name(name: str) -> bool:
    return "." not in name or any(name == end or name.endswith(f".{end}") for end in _OF_NO_NETWORK_BUT_OURS)


def _port(text: str | None, usual: int) -> int:
    """Other services of the lower ports (mail, remote shells...) get no bytes from us."""
    port = usual if text is None else int(text)
    if port == usual or _FIRST_UNRESERVED_PORT <= port <= 65_535:
        return port
    raise AddressRefused(f"url must have port {usual}, or one from 1024 to 65535", reason="port_not_allowed")


def addresses_of(receiver: Receiver, policy: Policy, *, within_s: float) -> tuple[IPAddress, ...]:
    """All addresses of its host, in the system's order of preference.

    Raises AddressRefused when one of them isn't permitted, or there are none; TimeoutError.
    """
    literal = _literal(f"[{receiver.host}]" if ":" in receiver.host else receiver.host)
    addresses = (literal,) if literal else _looked_up(receiver, within_s)
    if not addresses or not all(policy.permits(address) for address in addresses):
        raise AddressRefused
    return addresses


def _looked_up(receiver: Receiver, within_s: float) -> tuple[IPAddress, ...]:
    """In a thread of its own, since nothing else bounds a look-up; the thread ends when the system's resolver does."""
    found: Future[tuple[IPAddress, ...]] = Future()

    def look_up() -> None:
        try:
            answers = socket.getaddrinfo(receiver.host, receiver.port, type=socket.SOCK_STREAM)
            found.set_result(tuple(dict.fromkeys(_address(str(answer[4][0])) for answer in answers)))
        except (OSError, ValueError):
            found.set_result(())

    Thread(target=look_up, name="webhook-look-up", daemon=True).start()
    return found.result(timeout=within_s)


def _address(text: str) -> IPAddress:
    return IPv6Address(text) if ":" in text else IPv4Address(text)
