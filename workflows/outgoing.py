"""One POST to an address that somebody else chose."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

import requests

from billing.errors import InvalidArgument
from billing.settings import Settings


class AddressRefused(InvalidArgument):
    """Webhooks can't be sent to this address."""

    reason = "address_not_public"
    default_message = "the host of url must have public addresses, and no others"

    def __init__(self, message: str | None = None, *, reason: str | None = None):
        super().__init__(message, reason=reason, field="url")


@dataclass(frozen=True, slots=True)
class Policy:
    """What may be reached, and at what price."""

    allow_http: bool = False
    allow_private: bool = False
    timeout_s: float = 10
    most_bytes: int = 64 * 1024

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        anywhere = settings.webhook_receivers_anywhere
        return cls(allow_http=anywhere, allow_private=anywhere)


@dataclass(frozen=True, slots=True)
class Outcome:
    """`status` is there as soon as the answer's headers were, `error` when it wasn't whole."""

    status: int | None
    latency_ms: int
    excerpt: str
    error: str | None

    @property
    def delivered(self) -> bool:
        return self.error is None and self.status is not None and 200 <= self.status < 300


def check(url: str, policy: Policy) -> None:
    """Raises AddressRefused."""
    address = urlsplit(url)
    if address.scheme not in ({"https", "http"} if policy.allow_http else {"https"}) or not address.hostname:
        raise AddressRefused("url must begin with https:// and name a host", reason="address_not_https")


def post(url: str, body: bytes, headers: Mapping[str, str], *, policy: Policy) -> Outcome:
    """What became of it, whatever the other side does, within the policy's time."""
    began_s = time.monotonic()
    status, excerpt, error = None, "", None
    try:
        check(url, policy)
        with requests.Session() as session:
            session.trust_env = False
            answer = session.post(
                url, data=body, headers=dict(headers), timeout=policy.timeout_s, allow_redirects=False, stream=True
            )
            status = answer.status_code
            excerpt = next(answer.iter_content(1024), b"").decode(errors="replace").replace("\0", "")
    except AddressRefused:
        error = "address_refused"
    except requests.Timeout:
        error = "timeout"
    except requests.RequestException:
        error = "unreachable"
    return Outcome(status, round((time.monotonic() - began_s) * 1000), excerpt, error)
