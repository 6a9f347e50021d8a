"""What must be kept, or pass through a browser, and be read by us alone: encrypted with keys made from SECRET_KEY."""

from __future__ import annotations

import base64

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


class Seal:
    """Each purpose has a key of its own: what was sealed for one can't be opened for another."""

    def __init__(self, secret_key: str):
        self._secret = secret_key.encode()

    def close(self, purpose: str, text: str) -> str:
        return self._key(purpose).encrypt(text.encode()).decode()

    def open(self, purpose: str, sealed: str, *, within_s: int | None = None) -> str | None:
        """None for what isn't ours, was sealed for something else, under another SECRET_KEY, or too long ago."""
        try:
            return self._key(purpose).decrypt(sealed.encode(), ttl=within_s).decode()
        except InvalidToken:
            return None

    def _key(self, purpose: str) -> Fernet:
        derived = HKDF(SHA256(), length=32, salt=None, info=f"pave billing: {purpose}".encode()).derive(self._secret)
        return Fernet(base64.urlsafe_b64encode(derived))
