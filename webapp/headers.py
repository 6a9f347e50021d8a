"""What every answer carries: its request id, and what a browser may do with it. By which names we are asked."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from flask import Flask, Response, g, request
from werkzeug.exceptions import BadRequest

from billing.identifiers import new_id

_SANE_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,100}", re.ASCII)

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)

# Nobody else's page shows ours, holds a window of ours, or loads anything from here.
SET_APART = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",  # for browsers and scanners that don't know frame-ancestors
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def name_requests(app: Flask) -> None:
    """A request keeps the id it came with, if that is sane; it is in the answer, the log and the events."""

    @app.before_request
    def take_or_make_request_id() -> None:
        given = request.headers.get("X-Request-Id", "")
        g.request_id = given if _SANE_REQUEST_ID.fullmatch(given) else str(new_id())


def refuse_other_hosts(app: Flask, trusted: frozenset[str] | None) -> None:
    """A request that calls this system by a name it doesn't have is refused before anything looks at it: a page of
    somebody else's domain that resolves to this address reads nothing. Whoever asks whether it lives may use any."""
    if trusted is None:
        return

    @app.before_request
    def refuse() -> None:
        if request.blueprint != "health" and _host_name(request.host) not in trusted:
            raise BadRequest


def _host_name(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def protect_answers(app: Flask, *, https: bool) -> None:
    @app.after_request
    def add_headers(response: Response) -> Response:
        headers = response.headers
        headers["X-Request-Id"] = g.get("request_id", "")
        headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
        for name, value in SET_APART.items():
            headers[name] = value
        headers.setdefault("Referrer-Policy", "same-origin")
        if https:
            headers["Strict-Transport-Security"] = "max-age=31536000"
        if "Cache-Control" not in headers:
            headers["Cache-Control"] = "no-store"
        if request.blueprint != "api" and response.mimetype == "text/html":
            response.vary.add("HX-Request")
        return response
