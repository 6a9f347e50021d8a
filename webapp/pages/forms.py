"""A form on a page: what was typed, what is wrong with it, and the key that makes it safe to send twice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import uuid4

from flask import request
from werkzeug.exceptions import BadRequest

from billing.errors import (
    Aborted,
    AlreadyExists,
    BillingError,
    FailedPrecondition,
    IdempotencyInProgress,
    IdempotencyKeyReused,
    InvalidArgument,
)

# Refusals of what was asked: they are shown in the form. All others are pages of their own.
REFUSALS = (InvalidArgument, FailedPrecondition, AlreadyExists, Aborted)

LABELS = {
    "customer_id": "customer",
    "period_start": "period start",
    "period_end": "period end",
    "unit_price": "unit price",
    "billing_address": "billing address",
    "email": "e-mail",
    "url": "address",
}
SENT_BEFORE = (
    "This form was stored before with other values; what is stored is on the page. "
    "Send it again to store these values as well."
)
LONGEST_KEY = 255


def new_key() -> str:
    return str(uuid4())


@dataclass(frozen=True, slots=True)
class Form:
    """`errors` are sentences by field, those of the form as a whole under "". `key` is fresh on every render."""

    values: Mapping[str, str] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)
    key: str = field(default_factory=new_key)
    status: int = 200

    @classmethod
    def submitted(cls) -> Form:
        """What this request carries. Raises BadRequest for a key that no form of ours has."""
        values = {name: value.replace("\r\n", "\n") for name, value in request.form.items()}
        key = values.pop("idempotency_key", "")
        if not 0 < len(key) <= LONGEST_KEY or not key.isascii() or not key.isprintable():
            raise BadRequest
        return cls(values, key=key)

    def refused(self, refusal: BillingError) -> Form:
        """The same form with the refusal at its place, and a new key unless the outcome is still open."""
        place = refusal.field if refusal.field in self.values else ""
        key = self.key if isinstance(refusal, IdempotencyInProgress) else new_key()
        return Form(self.values, {place or "": sentence(refusal)}, key, status_of(refusal))

    def __getitem__(self, name: str) -> str:
        return self.values.get(name, "")

    def number(self, name: str) -> str:
        """Numbers without the blanks that came along when they were pasted."""
        return self[name].strip()


def status_of(refusal: BillingError) -> int:
    return 400 if isinstance(refusal, InvalidArgument) else 409


def sentence(refusal: BillingError) -> str:
    """The refusal in the words that stand on the page."""
    if isinstance(refusal, IdempotencyKeyReused):
        return SENT_BEFORE
    return in_words(refusal.message)


def in_words(text: str) -> str:
    """A refusal's message with the labels that fields have on pages."""
    for name, label in LABELS.items():
        text = text.replace(name, label)
    return f"{text[:1].upper()}{text[1:]}."
