"""One line of JSON for each request and each fault, without anybody's name, text or secret."""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterator
from uuid import UUID

import structlog
from flask import Flask, Response, g, request
from structlog.contextvars import bind_contextvars, clear_contextvars

log = structlog.get_logger(__name__)

LONGEST_CHAIN = 10


def log_requests(app: Flask) -> None:
    """Names the route, never the address: addresses may carry what must not be in a log.

    Whatever else is said during a request carries its id; its bill's, from the address or as soon as it is known
    (`about`).
    """

    @app.before_request
    def start() -> None:
        g.started_s = time.perf_counter()
        # A thread serves one request after the other.
        clear_contextvars()
        bind_contextvars(request_id=g.get("request_id"), **_bill())

    @app.after_request
    def finish(response: Response) -> Response:
        log.info(
            "request",
            request_id=g.get("request_id"),
            method=request.method,
            route=request.url_rule.rule if request.url_rule else None,
            status=response.status_code,
            ms=round((time.perf_counter() - g.get("started_s", time.perf_counter())) * 1000, 1),
            actor=_actor(),
        )
        return response


def about(bill_id: UUID) -> None:
    """From here on this request is about the bill, which stands in no address or behind a token."""
    bind_contextvars(bill_id=str(bill_id))


def name_callers(app: Flask) -> None:
    """From here on, what is said carries who asks. Behind the guard: before it nobody is known."""

    @app.before_request
    def name() -> None:
        if actor := _actor():
            bind_contextvars(actor=actor)


def _actor() -> str | None:
    """Ids of ours; names are for the event log."""
    caller = g.get("caller")
    return f"{caller.actor.kind}:{caller.actor.id}" if caller else None


def fault(error: BaseException) -> None:
    """A bug, or a failure nobody foresaw: what it was and where, but not what it said, which may name people."""
    log.error(
        "fault",
        request_id=g.get("request_id"),
        route=request.url_rule.rule if request.url_rule else None,
        chain=[_described(cause) for cause in _chain(error)],
    )


def _bill() -> dict[str, str]:
    """What stands in the address, if it is an id: anything else could be anybody's text."""
    given = (request.view_args or {}).get("bill_id")
    try:
        return {"bill_id": str(UUID(given))} if given else {}
    except ValueError:
        return {}


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what led to it. Chains can be made circular, so they are followed so far only."""
    for _ in range(LONGEST_CHAIN):
        if error is None:
            return
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _described(error: BaseException) -> dict[str, object]:
    frames = traceback.extract_tb(error.__traceback__)
    return {
        "type": f"{type(error).__module__}.{type(error).__qualname__}",
        "sqlstate": getattr(getattr(error, "orig", error), "sqlstate", None),
        "at": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
    }
