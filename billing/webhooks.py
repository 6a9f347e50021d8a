"""Webhooks as Standard Webhooks 1.0 has them: secrets, signatures; and how patient sending is."""

from __future__ import annotations

import base64
import hashlib
import hmac
import random
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

PREFIX = "whsec_"
SECRET_BYTES = 32
# So long the secret before signs beside the new one.
BOTH_SECRETS_FOR = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Patience:
    """How sending is repeated: after `first`, then twice as long each time, `longest` at most, each spread by a fifth.

    An event is given up after `give_up_after`; an endpoint at which nothing has arrived for `pause_after`, though it
    was tried, is paused.
    """

    first: timedelta = timedelta(seconds=5)
    longest: timedelta = timedelta(hours=8)
    give_up_after: timedelta = timedelta(days=3)
    pause_after: timedelta = timedelta(hours=24)
    spread: float = 0.2

    def wait(self, tries: int) -> timedelta:
        """After so many tries that failed."""
        doubled = self.first * (1 << min(max(tries - 1, 0), 30))
        by = 1 + random.uniform(-self.spread, self.spread)  # noqa: S311 - spreads, hides nothing
        return min(doubled, self.longest) * by

    def rest(self, failing_for: timedelta) -> timedelta:
        """Before anything is tried again at an endpoint where nothing arrives: the longer, the longer."""
        return min(max(failing_for / 4, self.first), timedelta(minutes=15))


def new_secret() -> str:
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def signed_headers(id_: str, at: datetime, body: bytes, secrets_: Sequence[str]) -> dict[str, str]:
    """The headers that go with a body; one signature for each secret, any of which proves where it comes from."""
    seconds = str(int(at.timestamp()))
    content = f"{id_}.{seconds}.".encode() + body
    return {
        "webhook-id": id_,
        "webhook-timestamp": seconds,
        "webhook-signature": " ".join(f"v1,{_signature(secret, content)}" for secret in secrets_),
    }


def _signature(secret: str, content: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(PREFIX))
    return base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
