"""What a request says about itself in its headers."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

from flask import Blueprint, current_app, request

from billing.errors import InvalidArgument
from webapp.api.errors import NotAcceptable, UnsupportedMediaType

View = TypeVar("View", bound=Callable[..., Any])

_OTHER_THAN_JSON = "answers_other_than_json"
_PRINTABLE_KEY = re.compile(r"[\x20-\x7e]{1,255}", re.ASCII)


def register(api: Blueprint) -> None:
    @api.before_request
    def refuse_unacceptable() -> None:
        accepted = request.headers.get("Accept", "*/*")
        if accepted not in {"*/*", "application/json"} and not request.accept_mimetypes.accept_json:
            view = current_app.view_functions.get(request.endpoint or "")
            if not any(kind in request.accept_mimetypes for kind in getattr(view, _OTHER_THAN_JSON, ())):
                raise NotAcceptable


def answers(*mimetypes: str) -> Callable[[View], View]:
    """Declares what a route answers in, beside JSON, which refusals always are."""

    def declare(view: View) -> View:
        setattr(view, _OTHER_THAN_JSON, mimetypes)
        return view

    return declare


def idempotency_key() -> str | None:
    """The key under which this request may be repeated; optional, 1 to 255 printable ASCII characters."""
    header = request.headers.get("Idempotency-Key")
    return None if header is None else checked_key(header, "Idempotency-Key")


def checked_key(value: object, field: str) -> str:
    if not isinstance(value, str) or not _PRINTABLE_KEY.fullmatch(value):
        raise InvalidArgument(f"{field} must be 1 to 255 printable ASCII characters", field=field)
    return value


def prefers_async() -> bool:
    """RFC 7240's `Prefer: respond-async`."""
    preferences = request.headers.get("Prefer", "").split(",")
    return any(preference.partition(";")[0].strip().lower() == "respond-async" for preference in preferences)


def refuse_other_than_json() -> None:
    charset = request.mimetype_params.get("charset", "utf-8").lower()
    encoded = request.headers.get("Content-Encoding", "identity").lower() != "identity"
    if request.mimetype != "application/json" or charset not in {"utf-8", "utf8"} or encoded:
        raise UnsupportedMediaType
