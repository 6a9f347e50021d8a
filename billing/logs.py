"""Logging in web and worker alike: one line of JSON on standard error for whatever is said.

Every line of a piece of work carries the ids that were bound to it: request, bill, activity. Ids only, never names.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from structlog.contextvars import bound_contextvars, get_contextvars, merge_contextvars

_STAMPED: list[Any] = [
    merge_contextvars,
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


class _StandardError:
    """Looked up at each line, since whoever runs us may exchange it."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()

    def msg(self, line: str) -> None:
        sys.stderr.write(line + "\n")

    debug = info = warning = error = critical = exception = msg


def configure(level: str) -> None:
    """For our own lines, which every request writes, by the shortest way; for the libraries' beside them."""
    structlog.configure(
        processors=[*_STAMPED, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=lambda *_: _StandardError(),
    )
    handler = logging.StreamHandler(_StandardError())
    handler.setFormatter(formatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)


def formatter() -> logging.Formatter:
    """Makes the libraries' records lines like our own."""
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*_STAMPED, structlog.stdlib.add_logger_name, structlog.processors.format_exc_info],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, structlog.processors.JSONRenderer()],
    )


@contextmanager
def bound(**ids: str | None) -> Iterator[None]:
    """Whatever is logged meanwhile, in this thread or task and in those that copy its context, carries these ids."""
    with bound_contextvars(**{name: value for name, value in ids.items() if value is not None}):
        yield


def bound_request_id() -> str | None:
    """The id of the request that is being worked on here."""
    found = get_contextvars().get("request_id")
    return found if isinstance(found, str) else None
