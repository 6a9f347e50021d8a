"""What every answer carries: its request id, and what a browser may do with it."""

from __future__ import annotations

import re

from flask import Flask, Response, g, request

from billing.identifiers import new_id

_SANE_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,100}", re.ASCII)

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)


def name_requests(app: Flask) -> None:
    """A request keeps the id it came with, if that is sane; it is in the answer, the log and the events."""

    @app.before_request
    def take_or_make_request_id() -> None:
        given = request.headers.get("X-Request-Id", "")
        g.request_id = given if _SANE_REQUEST_ID.fullmatch(given) else str(new_id())


def protect_answers(app: Flask, *, https: bool) -> None:
    @app.after_request
    def add_headers(response: Response) -> Response:
        headers = response.headers
        headers["X-Request-Id"] = g.get("request_id", "")
        headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
        headers["X-Content-Type-Options"] = "nosniff"
        headers.setdefault("Referrer-Policy", "same-origin")
        if https:
            headers["Strict-Transport-Security"] = "max-age=31536000"
        if "Cache-Control" not in headers:
            headers["Cache-Control"] = "no-store"
        if request.blueprint != "api" and response.mimetype == "text/html":
            response.vary.add("HX-Request")
        return response
