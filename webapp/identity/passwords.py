"""Passwords: argon2, checked at the same cost whether or not there is such a user.

What they must be like follows NIST SP 800-63B: long, and none of those that are tried first; no rules about kinds of
characters, which only make them harder to remember.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import BoundedSemaphore

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from billing.errors import InvalidArgument, ResourceExhausted

SHORTEST = 12
LONGEST = 1_000
# A hash takes 64 MB: this many at a time, however many sign in at once. The others wait, but not for long: each
# keeps a thread of the server from all other requests.
_AT_A_TIME = BoundedSemaphore(4)
LONGEST_WAIT_S = 2.0
_hasher = PasswordHasher()

# What long passwords that are tried first are made of; digits and signs around them add nothing.
_WORDS = (
    "password passwords passphrase passwort motdepasse contrasena qwerty qwertyuiop qwertyuiopasdfgh qwertyqwerty "
    "asdfghjkl zxcvbnm qazwsxedc qwertyasdfgh iloveyou iloveyouforever letmein letmeinplease letmeinnow welcome "
    "welcomeback changeme changemenow changemeplease administrator admin adminadmin adminadminadmin trustno "
    "superman batman football baseball basketball princess sunshine monkey dragon master michael jennifer "
    "correcthorsebatterystaple abcdefghijkl abcdefghijklm abcdefghijklmnop pave pavebilling billing"
)
_WELL_KNOWN = frozenset(_WORDS.split())
_ROWS = ("01234567890123456789", "98765432109876543210", "abcdefghijklmnopqrstuvwxyz", "qwertyuiopasdfghjklzxcvbnm")


class Busy(ResourceExhausted):
    """More passwords are being looked at than there is room for."""

    reason = "passwords_busy"
    default_message = "too many people sign in at this moment: try again in a few seconds"
    retry_after_s = 5


def generated() -> str:
    """One for somebody else, who should change it."""
    return secrets.token_urlsafe(15)


def hash_password(password: str, *, email: str = "", field: str = "password") -> str:
    """Raises InvalidArgument, naming the field, for one that is too short or would be guessed first; Busy."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise InvalidArgument(f"password must have at least {SHORTEST} and at most {LONGEST} characters", field=field)
    if is_guessed_first(password, email):
        raise InvalidArgument("password is one of those that are guessed first", field=field)
    with _a_turn():
        return _hasher.hash(password)


def is_guessed_first(password: str, email: str = "") -> bool:
    """Whether it is the e-mail address, a piece repeated, keys in a row, or a well-known word with decoration."""
    text = password.casefold().strip()
    letters = "".join(c for c in text if c.isalpha())
    repeated = any(text == (text[:n] * len(text))[: len(text)] for n in range(1, 5))
    return (
        repeated
        or any(text in row * 2 for row in _ROWS)
        or letters in _WELL_KNOWN
        or (bool(email) and text.strip("0123456789!.?_-") in {email, email.partition("@")[0]})
    )


def matches(password_hash: str | None, password: str) -> bool:
    """Takes equally long without a hash to compare with: whether somebody exists can't be timed. Raises Busy."""
    if len(password) > LONGEST:
        return False
    with _a_turn():
        nobodys_hash = _nobodys_hash()
        try:
            return _hasher.verify(password_hash or nobodys_hash, password) and bool(password_hash)
        except (VerificationError, InvalidHashError):
            return False


def is_outdated(password_hash: str) -> bool:
    """Whether it was made with weaker parameters than are used now."""
    return _hasher.check_needs_rehash(password_hash)


def rehashed(password: str) -> str:
    """Of a password that fits already, whatever new ones must be like. Raises Busy."""
    with _a_turn():
        return _hasher.hash(password)


@contextmanager
def _a_turn() -> Iterator[None]:
    if not _AT_A_TIME.acquire(timeout=LONGEST_WAIT_S):
        raise Busy
    try:
        yield
    finally:
        _AT_A_TIME.release()


@cache
def _nobodys_hash() -> str:
    return _hasher.hash("nobody has this password")
