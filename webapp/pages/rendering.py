"""From a template to an answer: whole pages, fragments and dialogs for htmx, redirects after a change."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from flask import Response, make_response, redirect, render_template, request
from flask.typing import ResponseReturnValue


def wants_fragment() -> bool:
    """htmx asks for a part of the page that is open; when it restores one from its history, for all of it."""
    return bool(request.htmx) and not request.htmx.history_restore_request  # type: ignore[attr-defined]


def render(template: str, *, status: int = 200, **context: Any) -> Response:
    return make_response(render_template(template, **context), status)


def page_or_dialog(template: str, *, status: int = 200, **context: Any) -> Response:
    """The same template fills the dialog of an open page, or a page of its own, which does without htmx."""
    in_dialog = wants_fragment()
    frame = "dialog.html" if in_dialog else "layout.html"
    return render(template, status=status, frame=frame, in_dialog=in_dialog, **context)


def see_other(address: str) -> ResponseReturnValue:
    """To another page after a change: a reload there doesn't repeat it."""
    if wants_fragment():
        return Response(status=200, headers={"HX-Redirect": address})
    return redirect(address, 303)


def local_path(address: str | None) -> str | None:
    """The address if it lies within these pages: a path, and nothing that a browser reads as a host."""
    if not address or not address.startswith("/") or any(c in address for c in "\\\t\r\n"):
        return None
    parts = urlsplit(address)
    return address if not parts.scheme and not parts.netloc and not address.startswith("//") else None
