"""What a request says about itself in its headers."""

from __future__ import annotations

import re

from flask import Blueprint, request

from billing.errors import InvalidArgument
from webapp.api.contract.fields import LONGEST_KEY
from webapp.api.contract.operation import of_this_request
from webapp.api.errors import NotAcceptable, UnsupportedMediaType

_PRINTABLE_KEY = re.compile(rf"[\x20-\x7e]{{1,{LONGEST_KEY}}}", re.ASCII)


def register(api: Blueprint) -> None:
    @api.before_request
    def refuse_unacceptable() -> None:
        accepted = request.headers.get("Accept", "*/*")
        if accepted not in {"*/*", "application/json"} and not request.accept_mimetypes.accept_json:
            # Refusals are JSON, whatever else the call answers in.
            media = {kind for answer in of_this_request().answers.values() for kind in answer.contents}
            if not any(kind in request.accept_mimetypes for kind in media):
                raise NotAcceptable


def idempotency_key() -> str | None:
    """The key under which this request may be repeated; optional, 1 to 255 printable ASCII characters."""
    assert of_this_request().is_idempotent, "this call doesn't declare that it can be repeated"
    header = request.headers.get("Idempotency-Key")
    return None if header is None else checked_key(header, "Idempotency-Key")


def checked_key(value: object, field: str) -> str:
    if not isinstance(value, str) or not _PRINTABLE_KEY.fullmatch(value):
        raise InvalidArgument(f"{field} must be 1 to 255 printable ASCII characters", field=field)
    return value


def prefers_async() -> bool:
    """RFC 7240's `Prefer: respond-async`."""
    assert of_this_request().may_respond_async, "this call doesn't declare that it can answer before it is done"
    preferences = request.headers.get("Prefer", "").split(",")
    return any(preference.partition(";")[0].strip().lower() == "respond-async" for preference in preferences)


def refuse_other_than_json() -> None:
    charset = request.mimetype_params.get("charset", "utf-8").lower()
    encoded = request.headers.get("Content-Encoding", "identity").lower() != "identity"
    if request.mimetype != "application/json" or charset not in {"utf-8", "utf8"} or encoded:
        raise UnsupportedMediaType
