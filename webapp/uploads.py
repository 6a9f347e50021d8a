"""Forms that carry a file or a long text: larger than others, longer on their way, and only where the route says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from flask import Flask, current_app, request

from webapp import slow_senders

View = TypeVar("View", bound=Callable[..., Any])

_DECLARATION = "largest_upload"


def takes_upload(largest: int, *, in_fields: int | None = None) -> Callable[[View], View]:
    """Declares how many bytes the route's form may have, in files or in fields, which are kept in memory: as much, or
    no more than that. Stands next to the route."""

    def declare(view: View) -> View:
        setattr(view, _DECLARATION, (largest, largest if in_fields is None else in_fields))
        return view

    return declare


def admit(app: Flask) -> None:
    """Before anything reads the form, and after it is known that the caller may use the route."""

    @app.before_request
    def allow_declared() -> None:
        declared = getattr(current_app.view_functions.get(request.endpoint or ""), _DECLARATION, None)
        if declared is not None:
            request.max_content_length, request.max_form_memory_size = declared
            slow_senders.allow(slow_senders.UPLOAD_WITHIN_S)
