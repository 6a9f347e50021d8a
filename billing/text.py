"""Text that people typed: data everywhere, markup nowhere."""

from __future__ import annotations

import re

from billing.errors import InvalidArgument

# Postgres can't store NUL or lone surrogates; the other control characters only hide things.
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
LONGEST_EMAIL = 254


def parse_text(value: object, field: str, *, longest: int, required: bool = True) -> str:
    """Text as it came, at most `longest` characters (not bytes); only white space counts as missing."""
    if value is not None and not isinstance(value, str):
        raise InvalidArgument(f"{field} must be text", field=field)
    text = value or ""
    if required and not text.strip():
        raise InvalidArgument(f"{field} is required", reason="required", field=field)
    if _UNPRINTABLE.search(text):
        raise InvalidArgument(f"{field} contains characters that cannot be stored", field=field)
    if len(text) > longest:
        raise InvalidArgument(f"{field} cannot exceed {longest} characters", field=field)
    return text


def parse_email(value: object, *, required: bool = True) -> str:
    """An address as it came: something on both sides of an @, and no white space."""
    email = parse_text(value, "email", longest=LONGEST_EMAIL, required=required)
    if email and ("@" not in email.strip("@") or any(c.isspace() for c in email)):
        raise InvalidArgument("email must be an e-mail address", field="email")
    return email


def storable(text: str) -> str:
    """Text that was refused, as it can be shown to whoever sent it: what can't be stored is replaced."""
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)
