"""Passwords: argon2, checked at the same cost whether or not there is such a user."""

from __future__ import annotations

from functools import cache
from threading import BoundedSemaphore

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from billing.errors import InvalidArgument

SHORTEST = 10
LONGEST = 1_000
# A hash takes 64 MB: this many at a time, however many sign in at once.
_AT_A_TIME = BoundedSemaphore(4)
_hasher = PasswordHasher()


def hash_password(password: str) -> str:
    """Raises InvalidArgument for one that is too short."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise InvalidArgument(
            f"password must have at least {SHORTEST} and at most {LONGEST} characters", field="password"
        )
    with _AT_A_TIME:
        return _hasher.hash(password)


def matches(password_hash: str | None, password: str) -> bool:
    """Takes equally long without a hash to compare with: whether somebody exists can't be timed."""
    if len(password) > LONGEST:
        return False
    with _AT_A_TIME:
        try:
            return _hasher.verify(password_hash or _nobodys_hash(), password) and password_hash is not None
        except (VerificationError, InvalidHashError):
            return False


def is_outdated(password_hash: str) -> bool:
    """Whether it was made with weaker parameters than are used now."""
    return _hasher.check_needs_rehash(password_hash)


@cache
def _nobodys_hash() -> str:
    return _hasher.hash("nobody has this password")
