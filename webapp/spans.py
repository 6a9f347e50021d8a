"""One span for each request, when tracing is configured (workflows/tracing.py)."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, g, request

from workflows import tracing

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

SPAN = "pave.span"


def trace_requests(app: Flask) -> None:
    """Named by method and route, never by the address: addresses may carry what must not be in a trace.

    A trace that a proxy began goes on. Streamed answers count until they begin.
    """
    inner = app.wsgi_app
    started_in: set[int] = set()

    def traced(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if os.getpid() not in started_in:  # after the server has forked
            started_in.add(os.getpid())
            tracing.start("pave-web")
        with tracing.span("request", "server", _parent(environ)) as span:
            environ[SPAN] = span
            return inner(environ, start_response)

    app.wsgi_app = traced  # type: ignore[method-assign]

    @app.after_request
    def name(response: Response) -> Response:
        span = request.environ.get(SPAN)
        if span is not None:
            _describe(span, response)
        return response


def _parent(environ: WSGIEnvironment) -> dict[str, str]:
    given = {name: environ.get(f"HTTP_{name.upper()}") for name in tracing.CARRIED}
    return {name: value for name, value in given.items() if value}


def _describe(span: Any, response: Response) -> None:
    route = request.url_rule.rule if request.url_rule else "none"
    span.update_name(f"{request.method} {route}" if request.url_rule else "no route")
    span.set_attributes(
        {
            "http.request.method": request.method if request.url_rule else "_OTHER",
            "http.route": route,
            "http.response.status_code": response.status_code,
            "pave.request_id": g.get("request_id", ""),
        }
    )
    if response.status_code >= 500:
        tracing.failed(span, str(response.status_code))
