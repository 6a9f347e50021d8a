"""What stands in a link's address: its id and a code that only we can compute, so that nobody guesses one.

The code is an HMAC under a key of its own, derived from the secret key: it can be shown again at any time, and no table
holds it. A new secret key ends all links.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from uuid import UUID

from billing.errors import LinkNotFound

# 48 bytes, the id's 16 and the code's 32, are 64 characters without padding or idle bits: one spelling each.
LENGTH = 64
_ID_BYTES = 16
_SHAPE = re.compile(rf"[A-Za-z0-9_-]{{{LENGTH}}}", re.ASCII)
_PURPOSE = b"pave billing share link"


def token_of(secret_key: str, link_id: UUID) -> str:
    return base64.urlsafe_b64encode(link_id.bytes + _code(secret_key, link_id.bytes)).decode("ascii")


def link_id_of(secret_key: str, token: str) -> UUID:
    """Raises LinkNotFound for whatever we haven't made, in the same time wherever it differs."""
    genuine = bool(_SHAPE.fullmatch(token))
    try:
        content = base64.urlsafe_b64decode(token if genuine else "A" * LENGTH)
    except binascii.Error:
        raise LinkNotFound from None
    id_, code = content[:_ID_BYTES], content[_ID_BYTES:]
    if not hmac.compare_digest(code, _code(secret_key, id_)) or not genuine:
        raise LinkNotFound
    return UUID(bytes=id_)


def _code(secret_key: str, id_: bytes) -> bytes:
    key = hmac.digest(secret_key.encode(), _PURPOSE, hashlib.sha256)
    return hmac.digest(key, id_, hashlib.sha256)
